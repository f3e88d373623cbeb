"""What may stand in the DSN parameters of MAIL and RCPT (RFC 3461 section 4). All raise ValueError."""

from __future__ import annotations

import re
from typing import Literal

from mailgate.dsn import xtext

ENVID_LIMIT = 100  # characters, RFC 3461 section 4.4
ORCPT_LIMIT = 500  # characters, RFC 3461 section 4.2

_NOTIFY = ("SUCCESS", "FAILURE", "DELAY")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]+")


def parse_ret(value: str) -> Literal["FULL", "HDRS"]:
    match value.upper():
        case "FULL":
            return "FULL"
        case "HDRS":
            return "HDRS"
    raise ValueError("RET is FULL or HDRS")


def parse_envid(value: str) -> str:
    """Checked, and returned as it is: it is passed on so (RFC 3461 section 5.2.1)."""
    if len(value) > ENVID_LIMIT:
        raise ValueError(f"ENVID has more than {ENVID_LIMIT} characters")
    if not xtext.decode(value):
        raise ValueError("ENVID is empty")
    return value


def parse_notify(value: str) -> tuple[str, ...]:
    """`("NEVER",)`, or some of SUCCESS, FAILURE, DELAY, each once and in this order."""
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return ("NEVER",)
    if len(set(words)) != len(words) or not set(words) <= set(_NOTIFY):
        raise ValueError("NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return tuple(word for word in _NOTIFY if word in words)


def parse_orcpt(value: str, smtputf8: bool) -> str:
    """Checked, and returned as it is. Characters above ASCII only where the transaction has SMTPUTF8 (RFC 6533)."""
    if len(value) > ORCPT_LIMIT:
        raise ValueError(f"ORCPT has more than {ORCPT_LIMIT} characters")
    if not smtputf8 and not value.isascii():
        raise ValueError("ORCPT beyond ASCII needs SMTPUTF8")
    original_recipient(value)
    return value


def ascii_orcpt(orcpt: str) -> str:
    """A checked value as a server without SMTPUTF8 may get it (RFC 6533 section 3); empty where that is too long."""
    escaped = xtext.escape_utf8_address(orcpt)
    return escaped if len(escaped) <= ORCPT_LIMIT else ""


def original_recipient(orcpt: str) -> tuple[str, str]:
    """Address type (in lower case) and address behind an ORCPT value."""
    kind, semicolon, encoded = orcpt.partition(";")
    if not semicolon or not _ADDRESS_TYPE.fullmatch(kind):
        raise ValueError("ORCPT is type;address")
    kind = kind.lower()
    address = xtext.decode_utf8_address(encoded) if kind == "utf-8" else xtext.decode(encoded)
    if not address:
        raise ValueError("ORCPT has no address")
    return kind, address
