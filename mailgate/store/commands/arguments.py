"""Do the arguments of a command fit it? They come from outside as JSON, whoever wrote the program that sent them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_type_hints

import msgspec

from mailgate.model.errors import UserError


def check(function: Callable[..., Any], command: str, arguments: Mapping[str, Any]) -> None:
    """UserError that names the argument: one too many, a missing one, or one of another type than `function` says."""
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{command}: {error}") from error
    types = get_type_hints(_named(function))
    for name, value in arguments.items():
        try:
            msgspec.convert(value, types.get(name, Any))
        except msgspec.ValidationError as error:
            raise UserError(f"{command}: {name}: {error}") from error


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    return _named(function.func) if isinstance(function, partial) else function
