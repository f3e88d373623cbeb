"""Ends IMAP sessions through Dovecot's doveadm-server socket, as `doveadm kick` does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mailgate.model.errors import UnavailableError

EVERYBODY = "*"
SECONDS = 10.0

_GREETING = b"VERSION\tdoveadm-server\t1\t0\n"


async def kick(socket: Path, login: str) -> None:
    """Ends every session of `login`, or all with EVERYBODY; no session is fine too. UnavailableError where Dovecot does
    not say so; a Dovecot that does not run has no sessions."""
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                await _ask(reader, writer, login)
            finally:
                writer.close()
    except (FileNotFoundError, ConnectionRefusedError):
        return
    except (OSError, TimeoutError) as error:
        raise UnavailableError(f"MAILGATE_DOVEADM_SOCKET {socket}: {error or 'no answer'}") from None


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: str) -> None:
    """Three lines come back: `+` (who may open the socket needs no login), whose sessions ended, and how it went."""
    writer.write(_GREETING + f"\t\tkick\t{login}\n".encode())
    lines = [await reader.readline() for _ in range(3)]
    if lines[0] != b"+\n" or lines[2] not in (b"+\n", b"-NOTFOUND\n"):
        raise UnavailableError(f"doveadm did not end the sessions of {login}: {b''.join(lines)!r}")
