"""One SMTP or LMTP session with a next hop: transactions over a connection that is kept and used again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiosmtplib.errors import SMTPException, SMTPTimeoutError
from aiosmtplib.response import SMTPResponse

from mailgate.dsn.parameters import ascii_orcpt
from mailgate.model.envelope import Recipient
from mailgate.model.errors import DamagedError
from mailgate.model.level import TransportLevel
from mailgate.model.reply import Reply, reply_of
from mailgate.relay.mail import Mail
from mailgate.relay.pipeline import GarbageError, PipelinedClient, PipelinedProtocol
from mailgate.relay.timeouts import Timeouts
from mailgate.relay.transfer import Fault, FaultKind, Transfer
from mailgate.transport.ladder import Failure

IN_ONE_WRITE = 1 << 20
"""Up to this many bytes a message goes out together with its envelope, where the host takes that."""


@dataclass(slots=True)
class Facts:
    """What is known of a connection, for the record of each attempt that uses it. `lost_to`: the first failure on the
    way down the ladder, None where the best was agreed on at once."""

    host: str
    address: str
    port: int
    level: TransportLevel = TransportLevel.PLAINTEXT
    lost_to: Failure | None = None
    values: dict[str, Any] = field(default_factory=dict)


class SmtpSession:
    """After EHLO, and STARTTLS and AUTH where there were any. `is_usable`: another transaction may follow."""

    def __init__(self, client: PipelinedClient, facts: Facts, timeouts: Timeouts, is_lmtp: bool = False) -> None:
        self._client = client
        self._is_lmtp = is_lmtp
        self._timeouts = timeouts
        self._needs_reset = False
        self._is_dead = False
        self.facts = facts
        self.transactions = 0
        self.idle_since = 0.0

    def offers(self, extension: str) -> bool:
        return self._client.supports_extension(extension)

    @property
    def size_limit(self) -> int:
        """What SIZE declares (RFC 1870), 0 for no limit."""
        declared = self._client.esmtp_extensions.get("size", "")
        return int(declared) if declared.isascii() and declared.isdigit() else 0

    @property
    def is_usable(self) -> bool:
        protocol = self._client.protocol
        return not self._is_dead and protocol is not None and protocol.is_connected and protocol.is_clean

    async def quit(self) -> None:
        """Says goodbye where anybody still listens, and closes."""
        with contextlib.suppress(SMTPException, OSError, TimeoutError):
            if self.is_usable:
                await self._client.quit(timeout=self._timeouts.quit)
        self.close()

    def close(self) -> None:
        self._is_dead = True
        self._client.close()

    # One transaction

    async def send(self, mail: Mail) -> Transfer:
        """The whole of RFC 5321 section 3.3. Never raises but CancelledError; afterwards `is_usable` counts."""
        transfer = Transfer([None] * len(mail.recipients), takes_dsn=self.offers("dsn"))
        self.transactions += 1
        dialogue = _Dialogue(self._protocol(), self._timeouts, transfer)
        try:
            await self._converse(dialogue, mail)
            self._needs_reset = transfer.end is None or not transfer.end.is_positive
        except asyncio.CancelledError:
            self.close()
            raise
        except (SMTPException, OSError, TimeoutError, _ProtocolError, DamagedError) as error:
            transfer.fault = fault_of(error, dialogue.step)
            self.close()
        if any(reply.code == 421 for reply in transfer.replies):
            self.close()
        return transfer

    def _protocol(self) -> PipelinedProtocol:
        assert self._client.protocol is not None
        return self._client.protocol

    async def _converse(self, dialogue: _Dialogue, mail: Mail) -> None:
        envelope = self._envelope(mail)
        if self._needs_reset:
            envelope.insert(0, b"RSET\r\n")
        if not self.offers("pipelining"):
            await self._one_by_one(dialogue, mail, envelope)
        elif self.offers("chunking") and not self._is_lmtp and mail.inline is not None and mail.size <= IN_ONE_WRITE:
            await self._all_at_once(dialogue, mail, envelope)
        else:
            await self._envelope_ahead(dialogue, mail, envelope)

    async def _all_at_once(self, dialogue: _Dialogue, mail: Mail, envelope: list[bytes]) -> None:
        """Envelope and message in one write (RFC 3030 section 4.2): one round trip."""
        content = b"".join(mail.chunks())
        if not mail.traits.ends_line:
            content += b"\r\n"
        dialogue.write(b"".join((*envelope, b"BDAT %d LAST\r\n" % len(content), content)), len(envelope) + 1)
        dialogue.transfer.is_sent = True
        await self._envelope_replies(dialogue)
        dialogue.transfer.end = await dialogue.reply("end of data", self._timeouts.data_end)

    async def _envelope_ahead(self, dialogue: _Dialogue, mail: Mail, envelope: list[bytes]) -> None:
        dialogue.write(b"".join((*envelope, b"DATA\r\n")), len(envelope) + 1)
        await self._envelope_replies(dialogue)
        await self._data(dialogue, mail, await dialogue.reply("DATA", self._timeouts.data_start))

    async def _one_by_one(self, dialogue: _Dialogue, mail: Mail, envelope: list[bytes]) -> None:
        for line in envelope:
            dialogue.write(line, 1)
            await self._envelope_reply(dialogue)
        if not dialogue.has_recipient:
            return
        dialogue.write(b"DATA\r\n", 1)
        await self._data(dialogue, mail, await dialogue.reply("DATA", self._timeouts.data_start))

    async def _envelope_replies(self, dialogue: _Dialogue) -> None:
        while not dialogue.has_envelope:
            await self._envelope_reply(dialogue)

    async def _envelope_reply(self, dialogue: _Dialogue) -> None:
        if self._needs_reset:
            await dialogue.reply("RSET", self._timeouts.mail)
            self._needs_reset = False
        elif dialogue.transfer.mail is None:
            dialogue.transfer.mail = await dialogue.reply("MAIL FROM", self._timeouts.mail)
        else:
            reply = await dialogue.reply("RCPT TO", self._timeouts.rcpt)
            dialogue.transfer.rcpt[dialogue.next_recipient] = reply
            dialogue.next_recipient += 1

    async def _data(self, dialogue: _Dialogue, mail: Mail, answer: Reply) -> None:
        if answer.code != 354:
            if answer.is_positive:
                raise _ProtocolError(f"{answer} is no reply to DATA")
            dialogue.transfer.end = answer
            return
        if dialogue.has_recipient:
            await dialogue.message(mail, len(dialogue.taken) if self._is_lmtp else 1)
            dialogue.transfer.is_sent = True
        else:
            dialogue.write(b".\r\n", 1)  # an empty message, which is refused (RFC 2920 section 3.1)
        if not self._is_lmtp:
            dialogue.transfer.end = await dialogue.reply("end of data", self._timeouts.data_end)
            return
        for number in dialogue.taken:
            dialogue.transfer.ends[number] = await dialogue.reply("end of data", self._timeouts.data_end)

    # Commands

    def _envelope(self, mail: Mail) -> list[bytes]:
        """MAIL and RCPT lines. Paths are written as they are, not by the library, which rewrites odd ones."""
        utf8 = self._speaks_utf8(mail)
        lines = [f"MAIL FROM:<{mail.envelope.reverse_path}>" + "".join(self._mail_parameters(mail, utf8))]
        lines += [
            f"RCPT TO:<{recipient.forward_path}>" + "".join(self._rcpt_parameters(recipient, utf8))
            for recipient in mail.recipients
        ]
        return [f"{line}\r\n".encode() for line in lines]

    def _speaks_utf8(self, mail: Mail) -> bool:
        return mail.envelope.smtputf8 and self.offers("smtputf8")

    def _mail_parameters(self, mail: Mail, utf8: bool) -> Iterator[str]:
        if self.offers("size"):
            yield f" SIZE={mail.size}"
        if self.offers("8bitmime") and mail.traits.is_8bit:
            yield " BODY=8BITMIME"
        if utf8:
            yield " SMTPUTF8"
        if mail.envelope.requiretls and self.offers("requiretls"):
            yield " REQUIRETLS"
        if self.offers("dsn"):
            if mail.envelope.ret:
                yield f" RET={mail.envelope.ret}"
            if mail.envelope.envid:
                yield f" ENVID={mail.envelope.envid}"

    def _rcpt_parameters(self, recipient: Recipient, utf8: bool) -> Iterator[str]:
        if self.offers("dsn"):
            if recipient.notify:
                yield f" NOTIFY={','.join(recipient.notify)}"
            if orcpt := recipient.orcpt if utf8 else ascii_orcpt(recipient.orcpt):
                yield f" ORCPT={orcpt}"


class _ProtocolError(Exception):
    """The dialogue can't go on as the standard wants it."""


class _Dialogue:
    """The wire side of one transaction."""

    def __init__(self, protocol: PipelinedProtocol, timeouts: Timeouts, transfer: Transfer) -> None:
        self._protocol = protocol
        self._timeouts = timeouts
        self.transfer = transfer
        self.step = "MAIL FROM"
        self.next_recipient = 0

    @property
    def has_envelope(self) -> bool:
        return self.transfer.mail is not None and self.next_recipient == len(self.transfer.rcpt)

    @property
    def has_recipient(self) -> bool:
        mail = self.transfer.mail
        return mail is not None and mail.is_positive and bool(self.taken)

    @property
    def taken(self) -> list[int]:
        """The numbers of the recipients that were not refused at RCPT."""
        return [number for number, reply in enumerate(self.transfer.rcpt) if reply is not None and reply.is_positive]

    def write(self, data: bytes, replies: int = 0) -> None:
        """Commands that are answered by so many `replies`."""
        self._protocol.expect(replies)
        self._protocol.write(data)

    async def reply(self, step: str, seconds: float) -> Reply:
        self.step = step
        return as_reply(await self._protocol.read_response(seconds))

    async def message(self, mail: Mail, replies: int) -> None:
        """Dot-stuffed, with the final dot (RFC 5321 section 4.5.2), to be answered by so many `replies`."""
        self.step = "message"
        self._protocol.expect(replies)
        stuffer = DotStuffer()
        for data in mail.chunks():
            self.write(stuffer.feed(data))
            async with asyncio.timeout(self._timeouts.data_block):
                await self._protocol.drain()
        self.write(stuffer.end())


class DotStuffer:
    """Doubles the dots at the beginning of lines, across the borders of chunks."""

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, data: bytes) -> bytes:
        if not data:
            return b""
        stuffed = data.replace(b"\r\n.", b"\r\n..") if b"\n." in data else data
        if self._tail == b"\r\n" and data.startswith(b"."):
            stuffed = b"." + stuffed
        elif self._tail.endswith(b"\r") and data.startswith(b"\n."):
            stuffed = b"\n." + stuffed[1:]
        self._tail = (self._tail + data)[-2:]
        return stuffed

    def end(self) -> bytes:
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


def as_reply(response: SMTPResponse) -> Reply:
    return reply_of(response.code, response.message)


def fault_of(error: BaseException, step: str) -> Fault:
    """The fault that an exception in the middle of a dialogue stands for."""
    if isinstance(error, SMTPTimeoutError | TimeoutError):
        return Fault(FaultKind.TIMEOUT, step, f"no answer in time to {step}")
    if isinstance(error, GarbageError | _ProtocolError):
        return Fault(FaultKind.GARBAGE, step, str(error.args[-1]))
    return Fault(FaultKind.DROPPED, step, f"{step}: {error or type(error).__name__}")
