"""On whose behalf the present call is made. Set where a command begins; read where access is decided, and where a
change is written down."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from mailgate.model.envelope import TenantName


class Role(enum.StrEnum):
    """OPERATOR looks after the gateway, ADMINISTRATOR after one tenant's people, USER after what is theirs."""

    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    USER = "user"


NO_TENANT = TenantName("")


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is what the audit log tells. `tenant` and `login` (canonical) are empty for an operator only: everybody
    else is bound to one tenant."""

    name: str
    role: Role
    tenant: TenantName = NO_TENANT
    login: str = ""

    @property
    def is_operator(self) -> bool:
        return self.role is Role.OPERATOR

    def sees(self, tenant: str) -> bool:
        """Does the tenant exist for this caller?"""
        return self.is_operator or tenant == self.tenant


@dataclass(frozen=True, slots=True)
class Acting:
    """`request` names the call; `reason` is what the caller gave as such."""

    caller: Caller
    request: str = ""
    reason: str = ""


GATEWAY = Caller("mailgate", Role.OPERATOR)
BY_ITSELF = Acting(GATEWAY)
_current: ContextVar[Acting] = ContextVar("acting", default=BY_ITSELF)


def current() -> Acting:
    """The gateway itself where nobody asked for anything, as in the sweeps of retention and for the edge."""
    return _current.get()


@contextmanager
def on_behalf_of(acting: Acting) -> Iterator[None]:
    """For what runs in this thread inside the block."""
    token = _current.set(acting)
    try:
        yield
    finally:
        _current.reset(token)
