"""`v=…; name=value; …`: the grammar that the TXT records of MTA-STS and TLS-RPT share. Pure."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_VALUE = re.compile(r"[\x21-\x3a\x3c\x3e-\x7e]+")
_WSP = " \t"


class RecordError(ValueError):
    """Not a valid record; the text says why."""


def fields_after(version: str, text: str) -> list[tuple[str, str]]:
    """Names and raw values after `version`, which must stand first as it is; RecordError for a malformed record."""
    first, *rest = [part.strip(_WSP) for part in text.split(";")]
    if first != version or not text.startswith(version):
        raise RecordError(f"does not begin with {version}")
    if rest and not rest[-1]:
        rest.pop()
    fields = []
    for part in rest:
        name, sign, value = part.partition("=")
        if not sign or not _NAME.fullmatch(name) or not value:
            raise RecordError(f"{part!r} is not name=value")
        fields.append((name, value))
    return fields


def check_extension(name: str, value: str) -> None:
    """RecordError where an unknown field is not well-formed."""
    if not _VALUE.fullmatch(value):
        raise RecordError(f"the value of {name} holds characters that are not allowed")
