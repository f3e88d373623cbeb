"""Pure: what the edge reads in the header section of a message (RFC 5322 section 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailgate.senderauth import results
from mailgate.tenancy.addresses import canonical_local

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:", re.MULTILINE)
_NEXT_LINE = re.compile(rb"\r\n(?![ \t])")
_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,995}>")

_BLIND = (b"bcc", b"resent-bcc")


@dataclass(frozen=True, slots=True)
class Header:
    """`cuts`: byte ranges of fields that must not go on, in their order; `forged_results` of them are
    Authentication-Results that bear our own name (RFC 8601 section 5), `blind_copies` Bcc and Resent-Bcc of mail that a
    tenant sends (RFC 5322 section 3.6.3). `delivered_to`: canonical addresses that have had it. `size` in bytes,
    `fields` their number."""

    received: int
    message_id: str
    has_date: bool
    size: int
    fields: int
    cuts: tuple[tuple[int, int], ...] = ()
    delivered_to: frozenset[str] = frozenset()
    forged_results: int = 0
    blind_copies: int = 0


def read(head: bytes, authserv_id: str, is_sent: bool = False) -> Header:
    """`head` is the beginning of the message, its whole header section where that is of a size we take. `is_sent`: a
    tenant sends it."""
    section = _section(head)
    fields = [(match[1].lower(), match.start(), match.end()) for match in _FIELD.finditer(section)]
    names = [name for name, _, _ in fields]
    forged, blind, delivered, message_id = [], [], set(), ""
    for name, start, value in fields:
        if name == b"authentication-results":
            end = _end(section, value)
            if results.is_written_by(section[value:end].decode("utf-8", "replace"), authserv_id):
                forged.append((start, end))
        elif is_sent and name in _BLIND:
            blind.append((start, _end(section, value)))
        elif name == b"delivered-to":
            delivered.add(_address(section[value : _end(section, value)]))
        elif name == b"message-id" and not message_id:
            found = _MESSAGE_ID.search(section, value, _end(section, value))
            message_id = found[0].decode("ascii", "replace") if found else ""
    return Header(
        received=names.count(b"received"),
        message_id=message_id,
        has_date=b"date" in names,
        size=len(section),
        fields=len(fields),
        cuts=tuple(sorted(forged + blind)),
        delivered_to=frozenset(delivered),
        forged_results=len(forged),
        blind_copies=len(blind),
    )


def _address(value: bytes) -> str:
    text = value.decode("utf-8", "replace").strip(" \t\r\n<>")
    local, _, domain = text.rpartition("@")
    return f"{canonical_local(local)}@{domain.lower()}"


def _section(head: bytes) -> bytes:
    """The header with the line end of its last field; empty where the message starts with the blank line."""
    if head.startswith(b"\r\n"):
        return b""
    end = head.find(b"\r\n\r\n")
    return head if end < 0 else head[: end + 2]


def _end(section: bytes, start: int) -> int:
    match = _NEXT_LINE.search(section, start)
    return match.end() if match else len(section)
