"""What a command is given must fit it; who sends something else reads which argument it was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, get_type_hints
from unittest.mock import Mock

import pytest

from mailgate.model.errors import UserError
from mailgate.store.commands import catalogue
from mailgate.store.commands.arguments import check


def command(
    desk: object, tenant: str, names: Sequence[str] = (), age: float | None = None, limit: int = 10, **filters: Any
) -> None: ...


@pytest.mark.parametrize(
    "arguments",
    [
        {"tenant": "acme"},
        {"tenant": "acme", "names": ["a", "b"], "age": 5, "limit": 3, "whatever": [1]},
        {"tenant": "acme", "names": (), "age": None},
    ],
)
def test_what_fits_is_taken(arguments: dict[str, Any]) -> None:
    check(partial(command, object()), "queue.list", arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "queue.list: missing a required argument: 'tenant'"),
        ({"tenant": 5}, "queue.list: tenant: Expected `str`, got `int`"),
        ({"tenant": None}, "queue.list: tenant: Expected `str`, got `null`"),
        ({"tenant": "acme", "names": "bob"}, "queue.list: names: Expected `array`, got `str`"),
        ({"tenant": "acme", "names": ["bob", 1]}, "queue.list: names: Expected `str`, got `int`"),
        ({"tenant": "acme", "age": "1h"}, "queue.list: age: Expected `float | null`, got `str`"),
        ({"tenant": "acme", "limit": True}, "queue.list: limit: Expected `int`, got `bool`"),
    ],
)
def test_what_does_not_fit_is_named(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        check(partial(command, object()), "queue.list", arguments)
    assert str(caught.value).startswith(told)


def test_every_command_says_what_it_takes() -> None:
    commands = catalogue.on_spool(Mock()) | catalogue.on_directory(Mock(), Mock())
    for name, handler in commands.items():
        function = handler
        while isinstance(function, partial):
            function = function.func
        hints = get_type_hints(function)
        assert all(
            parameter in hints for parameter in function.__code__.co_varnames[: function.__code__.co_argcount]
        ), name
