"""Pure: the SASL mechanisms PLAIN (RFC 4616) and LOGIN, as far as the server decodes them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from mailgate.edge import replies
from mailgate.model.errors import Refusal

MECHANISMS = ("PLAIN", "LOGIN")
USERNAME_CHALLENGE = base64.b64encode(b"Username:").decode()
PASSWORD_CHALLENGE = base64.b64encode(b"Password:").decode()


@dataclass(frozen=True, slots=True)
class Credentials:
    login: str
    password: bytes

    def __repr__(self) -> str:
        return f"Credentials({self.login!r}, …)"


def decode(response: bytes) -> bytes:
    """One base64 response; `*` cancels (RFC 4954 section 4), `=` alone is the empty response."""
    if response == b"*":
        raise Refusal(replies.AUTH_CANCELLED)
    if response == b"=":
        return b""
    try:
        return base64.b64decode(response, validate=True)
    except binascii.Error:
        raise Refusal(replies.AUTH_BAD_ENCODING) from None


def plain(message: bytes) -> Credentials:
    """`[authzid] NUL authcid NUL passwd`; with an authzid that is not the user it becomes a login that nobody has, so
    that it fails in the same way and time as any wrong one."""
    parts = message.split(b"\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise Refusal(replies.AUTH_BAD_ENCODING)
    authzid, login, password = parts
    if authzid and authzid != login:
        return Credentials("", password)
    return credentials(login, password)


def credentials(login: bytes, password: bytes) -> Credentials:
    try:
        return Credentials(login.decode("utf-8"), password)
    except UnicodeDecodeError:
        raise Refusal(replies.AUTH_BAD_ENCODING) from None
