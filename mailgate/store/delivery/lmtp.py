"""Delivery into mailboxes through an LMTP server on this machine (RFC 2033), so that the Sieve scripts of users run.

The server says 250 once the message is on stable storage. A redelivery after a crash may make a second copy there: only
our own deliveries into Maildirs meet their files again."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Sequence
from pathlib import Path

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import UnavailableError
from mailgate.store.delivery import maildir
from mailgate.store.delivery.maildir import Letter

SECONDS = 120.0

_RETURN_PATH = b"Return-Path: <"


class LmtpMailboxes:
    """`address_of` gives the address of a mailbox, empty for one that is switched off or gone: what is on its way there
    goes straight into its Maildir. Called in the thread of the deliveries."""

    def __init__(self, socket: Path, address_of: Callable[[MailboxId], str]) -> None:
        self._socket = socket
        self._address_of = address_of

    def deliver(self, letters: Sequence[Letter]) -> list[Exception | None]:
        """For each letter None once the server has it, or why it has not."""
        results: list[Exception | None] = []
        server: smtplib.LMTP | None = None
        for letter in letters:
            try:
                address = self._address_of(MailboxId(Path(letter.folder).name))
                if not address:
                    results += maildir.deliver([letter])
                    continue
                server = server or self._connect()
                _hand_over(server, address, letter)
                results.append(None)
            except (OSError, smtplib.SMTPException, UnavailableError) as error:
                server = None
                results.append(_named(self._socket, error))
        if server is not None:
            _quit(server)
        return results

    def _connect(self) -> smtplib.LMTP:
        server = smtplib.LMTP(str(self._socket), local_hostname="localhost", timeout=SECONDS)
        server.ehlo_or_helo_if_needed()
        return server


def _hand_over(server: smtplib.LMTP, address: str, letter: Letter) -> None:
    reverse_path, content = without_return_path(_content(letter))
    if not reverse_path.isascii() and not server.has_extn("smtputf8"):
        reverse_path = ""  # nobody can be answered then, and that is all that it is for here
    options = ["BODY=8BITMIME"] if server.has_extn("8bitmime") else []
    _expect(server.mail(reverse_path, options))
    _expect(server.rcpt(address))
    _expect(server.data(content))


def _content(letter: Letter) -> bytes:
    return letter.content.read_bytes() if isinstance(letter.content, Path) else letter.content


def without_return_path(content: bytes) -> tuple[str, bytes]:
    """The reverse-path of a stored message, and the message without the field that says it: the server writes its own
    (RFC 5321 section 4.4)."""
    line, end, rest = content.partition(b"\r\n")
    if not (line.startswith(_RETURN_PATH) and line.endswith(b">") and end):
        return "", content
    return line[len(_RETURN_PATH) : -1].decode("utf-8", "replace"), rest


def _expect(answer: tuple[int, bytes]) -> None:
    code, text = answer
    if code // 100 != 2:
        raise UnavailableError(f"it says {code} {text.decode('utf-8', 'replace')[:200]}")


def _named(socket: Path, error: Exception) -> Exception:
    return UnavailableError(f"LMTP server {socket}: {error}")


def _quit(server: smtplib.LMTP) -> None:
    try:
        server.quit()
    except (OSError, smtplib.SMTPException):
        server.close()
