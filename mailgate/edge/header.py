"""Pure: what the edge reads in the header section of a message (RFC 5322 section 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailgate.senderauth import results
from mailgate.senderauth.header import Header as Section
from mailgate.senderauth.header import read as read_section
from mailgate.tenancy.addresses import canonical_local

_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,995}>")

_BLIND = (b"bcc", b"resent-bcc")


_END = b"\r\n\r\n"


def is_within(head: bytes, most_bytes: int, most_fields: int) -> bool:
    """Whether the header section that `head` begins with is one we take. Counted in the bytes, before anything is made
    of it; lines that are no field count as fields. `head` holds more than `most_bytes` of a longer section."""
    if head.startswith(b"\r\n"):
        return True
    end = head.find(_END)
    size = len(head) if end < 0 else end + 2
    if size > most_bytes:
        return False
    folds = head.count(b"\r\n ", 0, size + 1) + head.count(b"\r\n\t", 0, size + 1)
    return head.count(b"\r\n", 0, size) - folds <= most_fields


@dataclass(frozen=True, slots=True)
class Header:
    """`section`: all of it, read once for all steps. `cuts`: byte ranges of fields that must not go on, in their order;
    `forged_results` of them are Authentication-Results that bear our own name (RFC 8601 section 5), `blind_copies` Bcc
    and Resent-Bcc of mail that a tenant sends (RFC 5322 section 3.6.3). `delivered_to`: canonical addresses that have
    had it. `size` in bytes, `fields` their number."""

    section: Section
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
    section = read_section(head)
    names = [field.name for field in section.fields]
    forged, blind, delivered, message_id, at = [], [], set(), "", 0
    for field in section.fields:
        start, at = at, min(at + len(field.raw), len(head))
        if field.name == b"authentication-results":
            if results.is_written_by(field.value.decode("utf-8", "replace"), authserv_id):
                forged.append((start, at))
        elif is_sent and field.name in _BLIND:
            blind.append((start, at))
        elif field.name == b"delivered-to":
            delivered.add(_address(field.value))
        elif field.name == b"message-id" and not message_id:
            found = _MESSAGE_ID.search(field.value)
            message_id = found[0].decode("ascii", "replace") if found else ""
    return Header(
        section=section,
        received=names.count(b"received"),
        message_id=message_id,
        has_date=b"date" in names,
        size=at,
        fields=sum(map(bool, names)),
        cuts=tuple(sorted(forged + blind)),
        delivered_to=frozenset(delivered),
        forged_results=len(forged),
        blind_copies=len(blind),
    )


def _address(value: bytes) -> str:
    text = value.decode("utf-8", "replace").strip(" \t\r\n<>")
    local, _, domain = text.rpartition("@")
    return f"{canonical_local(local)}@{domain.lower()}"
