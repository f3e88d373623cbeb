"""Addresses that release one message for one recipient: `release+<token>@domain`, the answer address of the notice
that tells of it. The token names the message and the recipient, and carries an HMAC by a key of the tenant, so nobody
can make one up; it is a claim only, and who may use it is decided where it is used. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from mailgate.model.envelope import QueueId

RELEASE_SECONDS = 7 * 86_400.0
"""From the arrival of the message; later the address is worth nothing."""

_PREFIX = "release+"
_MAC_BYTES = 16
_NUMBER_BYTES = 2
_LOCAL = re.compile(r"release\+([0-9a-hjkmnp-tv-z]{16})([a-z2-7]{29})")


@dataclass(frozen=True, slots=True)
class Claim:
    """`number` is that of the recipient's row in the spool."""

    queue_id: QueueId
    number: int


def is_release_local(local: str) -> bool:
    """By its form only."""
    return _LOCAL.fullmatch(local.lower()) is not None


def release_address(claim: Claim, domain: str, key: bytes) -> str:
    """The local part has 53 octets, all of which stay the same in capital letters. Empty where there are too many
    recipients to number."""
    if claim.number >= 1 << 8 * _NUMBER_BYTES:
        return ""
    number = claim.number.to_bytes(_NUMBER_BYTES, "big")
    token = base64.b32encode(number + _mac(claim.queue_id, number, key)).decode().rstrip("=").lower()
    return f"{_PREFIX}{claim.queue_id}{token}@{domain}"


def read_claim(local: str, key: bytes) -> Claim | None:
    """What a local part claims; None where it was not made with this key."""
    match = _LOCAL.fullmatch(local.lower())
    if match is None:
        return None
    queue_id = QueueId(match[1])
    octets = base64.b32decode(match[2].upper() + "===")
    number, mac = octets[:_NUMBER_BYTES], octets[_NUMBER_BYTES:]
    if not hmac.compare_digest(mac, _mac(queue_id, number, key)):
        return None
    return Claim(queue_id, int.from_bytes(number, "big"))


def _mac(queue_id: QueueId, number: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"mailgate release " + queue_id.encode() + number, hashlib.sha256)[:_MAC_BYTES]
