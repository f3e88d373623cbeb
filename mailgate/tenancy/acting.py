"""On whose behalf the present call changes something. Set where a command begins, read where it is written down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

GATEWAY = "mailgate"


@dataclass(frozen=True, slots=True)
class Acting:
    """`actor`: who, as people know them; `request` names the call; `reason` is what they gave as such."""

    actor: str = GATEWAY
    request: str = ""
    reason: str = ""


BY_ITSELF = Acting()
_current: ContextVar[Acting] = ContextVar("acting", default=BY_ITSELF)


def current() -> Acting:
    """The gateway itself where nobody asked for anything, as in the sweeps of retention."""
    return _current.get()


@contextmanager
def on_behalf_of(acting: Acting) -> Iterator[None]:
    """For what runs in this thread inside the block."""
    token = _current.set(acting)
    try:
        yield
    finally:
        _current.reset(token)
