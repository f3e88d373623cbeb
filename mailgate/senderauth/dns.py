"""What the checks ask of the DNS. A failure that may pass is one exception, since it ends a check at any depth."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from mailgate.model.dns import Answer, Mx

T = TypeVar("T")

_NAME_LIMIT = 253  # octets without the final dot, RFC 1035 section 2.3.4
_LABEL = re.compile(r"[^.]{1,63}")


class Names(Protocol):
    """Names are A-labels without a final dot. Nothing raises: what goes wrong is an Answer too."""

    async def txt(self, name: str) -> Answer[str]: ...

    async def a(self, name: str) -> Answer[str]: ...

    async def aaaa(self, name: str) -> Answer[str]: ...

    async def mx(self, name: str) -> Answer[Mx]: ...


class Resolver(Names, Protocol):
    """The same for addresses too."""

    async def ptr(self, name: str) -> Answer[str]:
        """`name` is the whole reverse name, e.g. `1.2.0.192.in-addr.arpa`; host names without a final dot."""


class LookupFailed(Exception):
    """Nobody knows now: the check ends as temperror."""


async def records(lookup: Awaitable[Answer[T]]) -> tuple[T, ...]:
    """What was found, nothing where there is nothing; raises LookupFailed where nobody knows."""
    answer = await lookup
    if not answer.is_known:
        raise LookupFailed(answer.reason)
    return answer.records


def is_name(text: str) -> bool:
    """Can `text` be asked for at all: no empty or long label, not too long?"""
    return len(text) <= _NAME_LIMIT and all(_LABEL.fullmatch(label) for label in text.split("."))
