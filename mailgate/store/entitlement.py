"""Which of our processes may ask the store for what. Pure.

A key that only that process inherited says which one it is (`ipc.keys`). The account says nothing: whoever is taken
over may have it too."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from mailgate.ipc import keys
from mailgate.ipc.calls import (
    Admin,
    Authenticate,
    Commit,
    GetNewKeys,
    GetReturnPath,
    GetSigningKeys,
    Hello,
    KeepTurnedAway,
    KeysShown,
    Lease,
    Note,
    Record,
    ReleaseOwn,
    Renew,
    Request,
    Resolve,
)
from mailgate.ipc.report_calls import GetDmarcReport, KeepReport
from mailgate.model.errors import UserError

HEALTH = "queue.summary"
"""The one command that the supervisor gives, for /healthz."""

_CALLS: Mapping[str, frozenset[type]] = {
    keys.EDGE: frozenset({Resolve, Authenticate, Renew, Commit, Note, KeepTurnedAway, ReleaseOwn}),
    keys.RELAY: frozenset(
        {Resolve, Lease, Record, GetReturnPath, GetSigningKeys, GetNewKeys, KeysShown, GetDmarcReport, KeepReport}
    ),
    keys.SUPERVISOR: frozenset({Admin}),
}


def check(known: keys.Keys, role: str, request: Request) -> None:
    """`role` is what the connection has proved to be, empty at first. UserError for what it may not ask."""
    if isinstance(request, Hello):
        if role or not hmac.compare_digest(known.get(request.role, b""), request.key) or not request.key:
            raise UserError("this is none of the gateway's processes")
    elif type(request) not in _CALLS.get(role, frozenset()):
        raise UserError(f"{type(request).__name__} is not for {role or 'who has not said who it is'}")
    elif isinstance(request, Admin) and request.command != HEALTH:
        raise UserError(f"commands are for the admin socket, but for {HEALTH}")
