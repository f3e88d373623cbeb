"""Commands on the operators of the gateway."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mailgate.tenancy.databases.models import Operator
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins.operator_keys import fingerprint

Json = dict[str, Any]


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def _add(directory: Directory, name: str, key: str) -> Json:
    """`key`: a public key as PEM or as a line of OpenSSH."""
    return _facts(directory.operators.add(name, key, directory.now))


def _list(directory: Directory) -> list[Json]:
    return [_facts(operator) for operator in directory.operators.all()]


def _remove(directory: Directory, name: str) -> Json:
    """{"left": how many operators there are now}."""
    directory.operators.remove(name, directory.now)
    return {"left": len(directory.operators.all())}


def _facts(operator: Operator) -> Json:
    return {"name": operator.name, "key": fingerprint(operator.key), "created_at": operator.created_at}


_COMMANDS: dict[str, Callable[..., Any]] = {
    "operator.add": _add,
    "operator.list": _list,
    "operator.remove": _remove,
}
