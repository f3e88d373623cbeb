"""What a client hears whose handshake fails. The event loop drops the connection without a word, and who hears nothing
takes it for a fault of the network, and does not try what would do (RFC 8446 section 6.2)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Iterator

_HANDSHAKE_FAILURE, _PROTOCOL_VERSION, _INAPPROPRIATE_FALLBACK = 40, 70, 86  # RFC 8446 section 6
_CODES = {
    "UNSUPPORTED_PROTOCOL": _PROTOCOL_VERSION,
    "UNKNOWN_PROTOCOL": _PROTOCOL_VERSION,
    "VERSION_TOO_LOW": _PROTOCOL_VERSION,
    "WRONG_VERSION_NUMBER": _PROTOCOL_VERSION,
    "WRONG_SSL_VERSION": _PROTOCOL_VERSION,
    "INAPPROPRIATE_FALLBACK": _INAPPROPRIATE_FALLBACK,
}
_TOO_OLD = "no TLS version in common: see MAILGATE_MX_TLS_MINIMUM and MAILGATE_SUBMISSION_TLS_MINIMUM"
_WORDS = {
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "UNKNOWN_PROTOCOL": _TOO_OLD,
    "VERSION_TOO_LOW": _TOO_OLD,
    "NO_SHARED_CIPHER": "no cipher suite in common",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no signature algorithm that fits our certificate in common",
    "WRONG_VERSION_NUMBER": "what came is no TLS",
    "HTTP_REQUEST": "what came is HTTP",
}


@contextlib.contextmanager
def alerting(transport: asyncio.Transport) -> Iterator[None]:
    """Around a handshake on `transport`: where it fails for a reason of ours, the client is sent the alert."""
    known = transport.get_extra_info("socket")
    spare = socket.socket(fileno=os.dup(known.fileno()))  # the loop closes its own before anybody can speak
    try:
        yield
    except ssl.SSLError as error:
        if alert := alert_of(error):
            with contextlib.suppress(OSError):
                spare.send(alert, socket.MSG_DONTWAIT)
        raise
    finally:
        spare.close()


def words_of(error: BaseException) -> str:
    """Why a handshake failed, for an administrator."""
    if isinstance(error, TimeoutError):
        return "it was not finished in time"
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the client went away"
    reason = error.reason or "UNKNOWN"
    said = reason.lower().replace("_", " ")
    if "ALERT" in reason:
        return f"the client refused: {said}"
    return f"{_WORDS[reason]} ({said})" if reason in _WORDS else said


def alert_of(error: ssl.SSLError) -> bytes:
    """The record of a fatal alert; empty where the client went away, or was the first to send one. Unencrypted: what
    fails in agreeing on TLS fails before there are keys."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "ALERT" in (reason := error.reason or ""):
        return b""
    return bytes((21, 3, 1, 0, 2, 2, _CODES.get(reason, _HANDSHAKE_FAILURE)))
