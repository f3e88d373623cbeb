"""What makes an audit log hard to change unseen: each entry's hash covers the one before it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log reached at some time: the number of its last entry (0 for none) and that entry's hash."""

    n: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.n}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """From `12:9f86…`; raises ValueError."""
        number, _, digits = text.partition(":")
        found = cls(int(number), bytes.fromhex(digits))
        if found.n < 0 or len(found.hash) != HASH_BYTES:
            raise ValueError(f"{text!r} is not the head of a log")
        return found


BEGINNING = Head(0, bytes(HASH_BYTES))


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `before` and `after` are JSON, None where there is nothing to tell; `at` in seconds since 1970."""

    n: int
    at: float
    actor: str
    action: str
    object: str
    before: str | None
    after: str | None
    reason: str
    request: str
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Verified:
    """`faults` says what is wrong, nothing where all is well."""

    head: Head
    entries: int
    faults: tuple[str, ...]


def link(previous: bytes, entry: Entry) -> bytes:
    """The hash of an entry that follows the one with the hash `previous`."""
    fields = (
        entry.n,
        entry.at,
        entry.actor,
        entry.action,
        entry.object,
        entry.before,
        entry.after,
        entry.reason,
        entry.request,
    )
    return hashlib.sha256(previous + msgspec.json.encode(fields)).digest()


def verify(entries: Iterable[Entry], start: Head, kept: Iterable[Head] = ()) -> Verified:
    """`entries` in order, the first one after `start`; `kept` are heads that were noted elsewhere. An entry that was
    changed, put in or taken out is a fault, also at the end where a kept head tells of it."""
    checkpoints = {head.n: head.hash for head in kept}
    head, count = start, 0
    faults = [] if checkpoints.get(start.n, start.hash) == start.hash else [_other(start.n)]
    for entry in entries:
        count += 1
        if entry.n != head.n + 1:
            faults.append(f"entries {head.n + 1} to {entry.n - 1} are missing")
        elif entry.hash != link(head.hash, entry):
            faults.append(f"entry {entry.n} was changed, or does not follow the one before it")
        if checkpoints.get(entry.n, entry.hash) != entry.hash:
            faults.append(_other(entry.n))
        head = Head(entry.n, entry.hash)
    last = max(checkpoints, default=0)
    if last > head.n:
        faults.append(f"entries {head.n + 1} to {last} are missing at the end")
    return Verified(head, count, tuple(faults))


def _other(n: int) -> str:
    return f"entry {n} is not the one that was noted elsewhere: the log was written anew"
