"""Recoding in one go, and what two readers see of a message."""

from __future__ import annotations

import email
from email.message import Message

from mailgate.recoding.plan import Aim, Edit, Source, planning, recoded

SEVEN_BIT, SHORT_LINES = Aim(seven_bit=True), Aim(short_lines=True)


def source_of(message: bytes) -> Source:
    return Source(len(message), lambda at, size: message[at : at + size])


def edits_of(message: bytes, aim: Aim) -> tuple[Edit, ...]:
    steps = planning(source_of(message), aim)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            edits: tuple[Edit, ...] = done.value
            return edits


def recode(message: bytes, aim: Aim, piece: int = 1 << 20) -> bytes:
    edits = edits_of(message, aim)
    return b"".join(recoded((message[at : at + piece] for at in range(0, len(message), piece)), edits))


def seen(message: bytes) -> list[tuple[str, bytes]]:
    """(type, decoded content) of each leaf, as Python's library reads it."""
    found: list[tuple[str, bytes]] = []
    for part in email.message_from_bytes(message).walk():
        if not part.is_multipart():
            found.append((part.get_content_type(), content(part)))
    return found


def content(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


def bodies_of(message: bytes) -> list[bytes]:
    """What stands on the wire in each leaf, still encoded, and around the parts."""
    found: list[bytes] = []
    for part in email.message_from_bytes(message).walk():
        texts = [part.preamble, part.epilogue] if part.is_multipart() else [vars(part)["_payload"]]
        found += [str(text).encode("ascii", "surrogateescape") for text in texts if text]
    return found
