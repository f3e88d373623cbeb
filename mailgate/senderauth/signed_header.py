"""Which fields a signature covers and the digest over them (RFC 6376 sections 3.7, 5.4.2). Linear in its size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mailgate.senderauth.body import RELAXED
from mailgate.senderauth.header import Field, relax


def without_signature(field: Field) -> Field:
    """The field with the value of its tag b= taken out."""
    name, _, value = field.raw.removesuffix(b"\r\n").partition(b":")
    parts = value.split(b";")
    for number, part in enumerate(parts):
        tag, equals, _ = part.partition(b"=")
        if equals and tag.strip(b" \t\r\n") == b"b":
            parts[number] = tag + equals
    return Field(field.name, name + b":" + b";".join(parts) + b"\r\n")


class HeaderHash:
    """Makes the digests of all signatures of one message; what is relaxed once is kept."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._by_name: dict[bytes, list[Field]] = {}
        self._relaxed: dict[int, bytes] = {}
        for field in fields:
            self._by_name.setdefault(field.name, []).append(field)

    def digest(self, names: Iterable[bytes], form: str, signature: Field) -> bytes:
        """SHA-256 over the fields named, from the bottom up for those that stand there several times, and over the
        signature's own field without its b=. That field was not there yet when it signed others of its name, so it is
        never one of those named (RFC 6376 section 3.5, h=)."""
        left: dict[bytes, list[Field]] = {}
        hasher = hashlib.sha256()
        for name in names:
            if name not in left:
                left[name] = [field for field in self._by_name.get(name, ()) if field is not signature]
            if left[name]:
                hasher.update(self._canonical(left[name].pop(), form))
        own = without_signature(signature)
        hasher.update((own.relaxed if form == RELAXED else own.raw).removesuffix(b"\r\n"))
        return hasher.digest()

    def _canonical(self, field: Field, form: str) -> bytes:
        if form != RELAXED:
            return field.raw
        known = self._relaxed.get(id(field))
        if known is None:
            known = self._relaxed[id(field)] = field.name + b":" + relax(field.value) + b"\r\n"
        return known
