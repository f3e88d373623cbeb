"""What is wrong with policy files, in words for the person who wrote them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from mailgate.model.errors import UserError
from mailgate.policy.schema import (
    LISTS,
    AttachmentException,
    AttachmentRule,
    Authentication,
    GatewayLimits,
    GatewayPolicy,
    GatewayPostmaster,
    InboundRoute,
    RouteRule,
    ScannerException,
    Section,
    SenderException,
    Sending,
    SendingCertificate,
    TenantPolicy,
    Transport,
)
from mailgate.policy.toml_lines import KeyPath
from mailgate.policy.values import format_size

_LISTS: tuple[KeyPath, ...] = (
    *((name,) for name in LISTS),
    ("sending", "certificates"),
)
_MISSPELT = 0.85  # as alike as `recipient` and `recipients`: then a slip, though another table has that key
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`line` counts from 1, which also stands for the file as a whole."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class PolicyErrors(UserError):
    """All that is wrong with a policy folder."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


def is_told_already(error: ErrorDetails) -> bool:
    """pydantic calls a list too short as well where all of its values are wrong."""
    return error["type"] == "too_short" and bool(error["input"])


def place(error: ErrorDetails) -> KeyPath:
    """The path of the key that an error is about, as `TomlLines` counts it."""
    return tuple(step for step in error["loc"] if step != "[key]")


def dotted(path: KeyPath) -> str:
    """`("attachments", 1, "action")` is `attachments[2].action`: people count from 1."""
    text = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def wording(error: ErrorDetails, schema: type[TenantPolicy]) -> str:
    """One sentence: which key, what is wrong, what to do."""
    path = place(error)
    if error["type"] == "extra_forbidden":
        return f"{dotted(path)}: unknown key; {_advice_on_unknown(path, schema)}"
    if error["type"] == "missing":
        return f"{dotted(path[:-1])}: {path[-1]} is missing; add it: {_meaning(path)}"
    if error["type"] in ("no_condition", "narrow", "login", "tenants_only", "pin"):
        return f"{dotted(path)}: {error['msg']}"
    return f"{dotted(path)}: {_shown(error['input'])} {_what_is_wrong(error, path)}"


def _what_is_wrong(error: ErrorDetails, path: KeyPath) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("enum", "literal_error"):
        return "is not one of " + ", ".join(_QUOTED.findall(str(context["expected"])))
    if kind in ("greater_than_equal", "less_than_equal"):
        least = kind == "greater_than_equal"
        bound = context["ge" if least else "le"]
        size = f" ({format_size(bound)})" if bound >= 1024 and bound % 1024 == 0 else ""
        return f"is too {'small' if least else 'large'}; at {'least' if least else 'most'} {bound}{size}"
    if kind == "tuple_type" and path in _LISTS:
        return f"is not a list of rules; begin each rule with a line [[{dotted(path)}]]"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"is not a table; write [{dotted(path)}] on a line of its own and the keys below it"
    if kind in ("size", "address", "network", "defect", "fingerprint", "signature"):
        return str(error["msg"])
    plain = {
        "int_type": "is not a whole number; write it without quotes",
        "bool_type": "is neither true nor false; write one of them without quotes",
        "string_type": "is not a text; write it in double quotes",
        "tuple_type": 'is neither a text nor a list of texts; write it as "a" or ["a", "b"]',
        "date_from_datetime_parsing": "is not a date; write it without quotes, e.g. 2027-03-31",
        "too_short": "is empty; name at least one value or remove the key",
        "string_pattern_mismatch": f"has a form or a character that is not allowed here; {_meaning(path)}",
    }
    return plain.get(kind) or f"is not allowed here ({error['msg']}); {_meaning(path)}"


def _advice_on_unknown(path: KeyPath, schema: type[TenantPolicy]) -> str:
    key = str(path[-1])
    sections: dict[str, type[Section]] = {"limits": GatewayLimits, "postmaster": GatewayPostmaster}
    only_gateway = sections.get(str(path[0]))
    if schema is TenantPolicy and len(path) == 2 and only_gateway is not None and key in only_gateway.model_fields:
        return "only gateway.toml can set it, since it applies before the tenant is known"
    siblings = [name for home, name in _keys(schema) if home == _home(path[:-1])]
    if alike := difflib.get_close_matches(key, siblings, n=1, cutoff=_MISSPELT):
        return f"did you mean {alike[0]}?"
    homes = [home for home, name in _keys(schema) if name == key]
    if homes:
        return f"it belongs {' or '.join(homes)}"
    near = difflib.get_close_matches(key, siblings, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(siblings)}"


def _keys(schema: type[Section], path: KeyPath = ()) -> Iterator[tuple[str, str]]:
    """(where it belongs, key) for all keys of the schema."""
    for name, field in schema.model_fields.items():
        yield _home(path), field.alias or name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _keys(field.annotation, (name,))
    if issubclass(schema, TenantPolicy):
        yield from _keys(AttachmentRule, ("attachments", 0))
        yield from _keys(RouteRule, ("routes", 0))
        yield from _keys(InboundRoute, ("inbound", 0))
        yield from _keys(SendingCertificate, ("sending", "certificates", 0))
        yield from _keys(SenderException, ("exceptions", 0))
        yield from _keys(AttachmentException, ("attachment_exceptions", 0))
        yield from _keys(ScannerException, ("scanner_exceptions", 0))


def _home(path: KeyPath) -> str:
    if not path:
        return "at the top of the file"
    name = ".".join(step for step in path if isinstance(step, str))
    return f"in [[{name}]]" if isinstance(path[-1], int) else f"in [{name}]"


def _meaning(path: KeyPath) -> str:
    """The text of the schema on a key, or on the key whose list a value is in."""
    key = next(step for step in reversed(path) if isinstance(step, str))
    for section in (
        AttachmentRule,
        Authentication,
        SenderException,
        AttachmentException,
        ScannerException,
        Transport,
        RouteRule,
        InboundRoute,
        Sending,
        SendingCertificate,
        GatewayPolicy,
    ):
        for name, field in section.model_fields.items():
            if key in (name, field.alias) and field.description:
                return field.description[:1].lower() + field.description[1:].rstrip(".")
    return "see docs/policies.md"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:60]}…"'
    if isinstance(value, dict | list):
        return "this table" if isinstance(value, dict) else "this list"
    return str(value)
