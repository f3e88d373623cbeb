"""Who speaks on a connection of the admin socket: decided at its start, looked up again for each command.

A user logs in by password, an operator by a key. While no operator's key is registered, whoever may open the socket and
read the key beside it is the operator; the kernel says which account that is."""

from __future__ import annotations

import asyncio
import hmac
import pwd
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from weakref import WeakKeyDictionary

from mailgate.ipc.calls import Authenticate, Authenticated, Challenge, LogIn, Prove, ShowKey
from mailgate.ipc.frames import Peer
from mailgate.model.errors import NotFoundError, UserError
from mailgate.tenancy.acting import Caller, Role
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins.operator_keys import CHALLENGE_BYTES

REFUSED = "the login was refused"
KEY_NEEDED = (
    "operators log in by key here: give --operator-key FILE, or set MAILGATE_OPERATOR_KEY; users log in with --as LOGIN"
)
NO_KEY = "who gives commands by the account alone shows the key beside the admin socket: can it be read?"


class Callers:
    """Lives in the event loop. `authenticate` checks passwords with all that belongs to it: back-off, lockout;
    `thread` is the directory's, `key` what a caller by account must show (see `ipc.keys`; none where it is empty)."""

    def __init__(
        self,
        directory: Directory,
        authenticate: Callable[[Authenticate], Awaitable[Authenticated]],
        thread: Executor,
        key: bytes = b"",
    ) -> None:
        self._key = key
        self._directory = directory
        self._authenticate = authenticate
        self._thread = thread
        self._users: WeakKeyDictionary[Peer, str] = WeakKeyDictionary()
        self._operators: WeakKeyDictionary[Peer, str] = WeakKeyDictionary()
        self._challenges: WeakKeyDictionary[Peer, bytes] = WeakKeyDictionary()

    async def log_in(self, request: LogIn, peer: Peer) -> None:
        """UserError with one text for every reason; also where somebody is logged in already: there is no switch."""
        self._check_fresh(peer)
        granted = await self._authenticate(Authenticate(request.login, request.password, f"uid {peer.uid}", "command"))
        self._check_fresh(peer)
        if not granted.ok:
            raise UserError(REFUSED)
        self._users[peer] = granted.account

    def show_key(self, request: ShowKey, peer: Peer) -> None:
        """UserError where it is another."""
        if not hmac.compare_digest(self._key, request.key):
            raise UserError(NO_KEY)
        peer.has_key = True

    def challenge(self, peer: Peer) -> Challenge:
        """What the next Prove on this connection must have signed."""
        nonce = self._challenges[peer] = secrets.token_bytes(CHALLENGE_BYTES)
        return Challenge(nonce)

    async def prove(self, request: Prove, peer: Peer) -> None:
        """A challenge is good for one try. UserError as for `log_in`."""
        nonce = self._challenges.pop(peer, None)
        name = ""
        if nonce is not None:
            ask = self._directory.operators.signed_by
            name = await asyncio.get_running_loop().run_in_executor(self._thread, ask, nonce, request.signature)
        self._check_fresh(peer)
        if not name:
            raise UserError(REFUSED)
        self._operators[peer] = name

    def _check_fresh(self, peer: Peer) -> None:
        if peer in self._users or peer in self._operators:
            raise UserError(REFUSED)

    async def caller(self, peer: Peer) -> Caller:
        """Raises UserError where it is nobody, or nobody any more."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._find, peer)

    def _find(self, peer: Peer) -> Caller:
        login, name = self._users.get(peer), self._operators.get(peer)
        if login is not None:
            try:
                return self._directory.caller(login)
            except NotFoundError:
                raise UserError(REFUSED) from None
        known = {operator.name for operator in self._directory.operators.all()}
        if name is not None and name in known:
            return Caller(f"operator {name}", Role.OPERATOR)
        if known:
            raise UserError(KEY_NEEDED)
        if self._key and not peer.has_key:
            raise UserError(NO_KEY)
        return by_account(peer.uid)


def by_account(uid: int | None) -> Caller:
    """Whoever may open the socket or the files."""
    try:
        name = "unknown" if uid is None else pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Caller(f"account {name}", Role.OPERATOR)
