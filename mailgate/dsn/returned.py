"""The third part of a notice: the message, or its header (RFC 3464 section 2, RFC 6522 section 4, RFC 6533)."""

from __future__ import annotations

import quopri
from dataclasses import dataclass

from mailgate.dsn.notice import Returned

HEADER_LIMIT = 64 << 10  # bytes of the header that come back


@dataclass(frozen=True, slots=True)
class Part:
    """One body part: media type, Content-Transfer-Encoding, and the encoded bytes with CR LF at their end."""

    media_type: str
    encoding: str
    body: bytes


def returned_part(returned: Returned, smtputf8: bool) -> Part:
    """`smtputf8`: the message came with SMTPUTF8, so its header may hold UTF-8."""
    if returned.is_whole:
        is_8bit = not returned.content.isascii()
        media_type = "message/global" if smtputf8 and not header_of(returned.content).isascii() else "message/rfc822"
        return Part(media_type, "8bit" if is_8bit else "7bit", _ended(returned.content))
    header = header_of(returned.content)
    if header.isascii():
        return Part("text/rfc822-headers", "7bit", header)
    media_type = "message/global-headers" if smtputf8 else "text/rfc822-headers"
    return Part(media_type, "quoted-printable", quoted(header))


def header_of(content: bytes) -> bytes:
    """The fields of the header, without the empty line. One beyond HEADER_LIMIT is cut after a whole line."""
    end = 0 if content.startswith(b"\r\n") else content.find(b"\r\n\r\n")
    header = content if end < 0 else content[: end + 2 if end else 0]
    if len(header) > HEADER_LIMIT:
        header = header[: header.rfind(b"\r\n", 0, HEADER_LIMIT) + 2]
    return _ended(header)


def quoted(data: bytes) -> bytes:
    """Quoted-printable; lines end in CR LF on both sides."""
    return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")


def _ended(data: bytes) -> bytes:
    return data if data.endswith(b"\r\n") or not data else data + b"\r\n"
