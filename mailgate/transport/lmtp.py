"""What LMTP adds to a client of SMTP (RFC 2033)."""

from __future__ import annotations

from typing import Literal

from aiosmtplib import SMTP
from aiosmtplib.response import SMTPResponse
from aiosmtplib.typing import Default


class LmtpGreeting(SMTP):
    """Says LHLO in place of EHLO (section 4.1); all that follows from the answer is the same."""

    async def execute_command(
        self, *args: bytes, timeout: float | Literal[Default.token] | None = Default.token
    ) -> SMTPResponse:
        if args[0] == b"EHLO":
            args = (b"LHLO", *args[1:])
        return await super().execute_command(*args, timeout=timeout)
