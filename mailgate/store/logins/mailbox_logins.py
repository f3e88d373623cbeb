"""The socket for logins: an IMAP server asks who may log in and where the mail lies, one line of JSON each way.

Whoever connects can guess passwords, at the pace that the back-off leaves, and ask which folder belongs to an address;
nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec

from mailgate.ipc.calls import Authenticate, Authenticated
from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError, UnavailableError, UserError
from mailgate.tenancy.people.mail_access import MailAccess, MailboxPlace

LONGEST_LINE = 8192  # bytes
IDLE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Question(msgspec.Struct, frozen=True):
    """A login: `peer` is the address of the client, for the back-off. Or, with `mailbox` alone, where mail for this
    address lies (an LMTP server asks)."""

    login: str = ""
    password: str = ""
    peer: str = ""
    mailbox: str = ""


class Shared(msgspec.Struct, frozen=True):
    name: str
    maildir: str
    quota: int


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """`unavailable` where nothing can be said now. With `ok` for a login: `login` (canonical), `maildir` of the own
    mailbox (absolute), those of the shared ones, and `acl`, the file that says what is allowed where. With `ok` for a
    mailbox: `maildir`. `quota`: of this mailbox, in bytes, 0 for none."""

    result: Literal["ok", "refused", "unavailable"]
    login: str = ""
    maildir: str = ""
    acl: str = ""
    shared: tuple[Shared, ...] = ()
    quota: int = 0


class MailboxLogins:
    """`authenticate` checks a password; `open_session` says what a session of the account gets; `place_of` where mail
    for an address lies. The last two raise NotFoundError where there is nothing; all may raise UnavailableError."""

    def __init__(
        self,
        authenticate: Callable[[Authenticate], Awaitable[Authenticated]],
        open_session: Callable[[str], Awaitable[MailAccess]],
        place_of: Callable[[str], Awaitable[MailboxPlace]],
        default_quota: Callable[[TenantName], int | None],
    ) -> None:
        self._authenticate = authenticate
        self._open_session = open_session
        self._place_of = place_of
        self._default_quota = default_quota
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def listen(self, path: Path) -> None:
        """Only our own account may connect. UserError where the socket can't be had."""
        try:
            self._server = await asyncio.start_unix_server(self._converse, path, limit=LONGEST_LINE)
            path.chmod(0o600)
        except OSError as error:
            raise UserError(
                f"MAILGATE_LOGIN_SOCKET {path}: {error.strerror or error}. "
                "Name a file in a folder that this account may write to"
            ) from None

    def close(self) -> None:
        """Who still waits for an answer gets none."""
        if self._server is not None:
            self._server.close()
        for conversation in self._conversations:
            conversation.cancel()

    async def answer(self, line: bytes) -> Reply:
        try:
            question = msgspec.json.decode(line, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Reply("refused")  # a password that is no UTF-8 opens no account
        try:
            if question.mailbox:
                place = await self._place_of(question.mailbox)
                quota = _quota(place.quota, self._default_quota(place.tenant))
                return Reply("ok", maildir=str(place.maildir), quota=quota)
            return await self._log_in(question)
        except (NotFoundError, UserError):
            return Reply("refused")
        except UnavailableError as error:
            _log.warning("a mailbox login can't be answered: %s", error)
            return Reply("unavailable")

    async def _log_in(self, question: Question) -> Reply:
        password = question.password.encode("utf-8", "surrogatepass")
        granted = await self._authenticate(Authenticate(question.login, password, question.peer, "imap"))
        if not granted.ok:
            return Reply("refused")
        found = await self._open_session(granted.account)
        default = self._default_quota(found.tenant)
        shared = tuple(Shared(each.name, str(each.maildir), _quota(each.quota, default)) for each in found.shared)
        return Reply("ok", found.login, str(found.maildir), str(found.acl), shared, _quota(found.quota, default))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question a connection; whoever says nothing, too much or goes away gets no answer."""
        conversation = asyncio.current_task()
        assert conversation is not None
        self._conversations.add(conversation)
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                line = await reader.readline()
                if line.endswith(b"\n"):
                    writer.write(msgspec.json.encode(await self.answer(line)) + b"\n")
                    await writer.drain()
        except (OSError, TimeoutError, ValueError) as error:
            _log.warning("a question for a mailbox login was not answered: %s", str(error) or "too slow")
        finally:
            self._conversations.discard(conversation)
            writer.close()


def _quota(own: int | None, default: int | None) -> int:
    return (default or 0) if own is None else own
