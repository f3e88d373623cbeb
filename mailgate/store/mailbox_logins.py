"""The socket for logins: an IMAP server asks who may log in and where the mail lies, one line of JSON each way.

Whoever connects can guess passwords, at the pace that the back-off leaves, and do nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec

from mailgate.ipc.calls import Authenticate, Authenticated
from mailgate.model.errors import NotFoundError, UnavailableError, UserError

LONGEST_LINE = 8192  # bytes
IDLE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Question(msgspec.Struct, frozen=True):
    """`peer`: the address of the IMAP client, for the back-off."""

    login: str
    password: str
    peer: str = ""


class Reply(msgspec.Struct, frozen=True):
    """`unavailable` where nothing can be said now. `login` (canonical) and `maildir` (absolute) with `ok` only."""

    result: Literal["ok", "refused", "unavailable"]
    login: str = ""
    maildir: str = ""


class MailboxLogins:
    """`authenticate` checks a password; `maildir` finds the Maildir of an account, NotFoundError where it has none.
    Both may raise UnavailableError."""

    def __init__(
        self,
        authenticate: Callable[[Authenticate], Awaitable[Authenticated]],
        maildir: Callable[[str], Awaitable[Path]],
    ) -> None:
        self._authenticate = authenticate
        self._maildir = maildir
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
            granted = await self._authenticate(
                Authenticate(question.login, question.password.encode("utf-8", "surrogatepass"), question.peer)
            )
            if not granted.ok:
                return Reply("refused")
            return Reply("ok", granted.account, str(await self._maildir(granted.account)))
        except NotFoundError:
            return Reply("refused")
        except UnavailableError as error:
            _log.warning("a mailbox login can't be answered: %s", error)
            return Reply("unavailable")

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
