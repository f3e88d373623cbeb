"""Reverse-paths of mail that is forwarded (the Sender Rewriting Scheme, www.libsrs2.org/srs/srs.pdf): they are of the
forwarding domain, so that SPF holds at the next hop, and lead bounces back to who sent the mail. Pure.

`SRS0=tag=day=domain=local@us` is the path of a sender; `SRS1=tag=domain==tag=day=domain=local@us` that of another
forwarder before us, whose own part behind `==` stays as it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from mailgate.model.address import LONGEST_PATH, AddressError, parse_address

DAYS = 14  # that bounces may take
_CYCLE = 1024  # days after which the two letters of the day come again
_TAG_LENGTH = 6
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

_REWRITTEN = re.compile(r"srs[01][=+-]", re.IGNORECASE)
_DIRECT = re.compile(r"srs0[=+-]([a-z2-7]{6})=([a-z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL)
_CHAINED = re.compile(r"srs1[=+-]([a-z2-7]{6})=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)


def is_rewritten(local: str) -> bool:
    """Does it look like one, whoever made it?"""
    return _REWRITTEN.match(local) is not None


def rewritten(reverse_path: str, domain: str, key: bytes, day: int) -> str:
    """The reverse-path at `domain` for mail from `reverse_path`; `day` since 1970. Empty (the null one) where the
    sender has none, or one that can't be wrapped: a quoted local part, or one so long that no path holds it."""
    local, _, sender_domain = reverse_path.rpartition("@")
    if not local or local.startswith('"'):
        return ""
    if not is_rewritten(local):
        stamp = _BASE32[day % _CYCLE >> 5] + _BASE32[day % 32]
        rest = f"{stamp}={sender_domain}={local}"
        found = f"SRS0={_tag(key, rest)}={rest}@{domain}"
    elif (chained := _CHAINED.fullmatch(local)) is not None:
        rest = f"{chained[2]}={chained[3]}"
        found = f"SRS1={_tag(key, rest)}={rest}@{domain}"
    else:
        rest = f"{sender_domain}={local[4:]}"
        found = f"SRS1={_tag(key, rest)}={rest}@{domain}"
    return found if len(found.encode()) <= LONGEST_PATH else ""


def original(local: str, key: bytes, day: int) -> str:
    """Where bounces to this local part are to go; empty where it is not ours or too old. `day` since 1970."""
    direct, chained = _DIRECT.fullmatch(local), _CHAINED.fullmatch(local)
    if direct is not None:
        tag, stamp, domain, sender = direct.groups()
        age = (day - (_BASE32.index(stamp[0].upper()) << 5 | _BASE32.index(stamp[1].upper()))) % _CYCLE
        is_good = _is_tag(tag, key, f"{stamp}={domain}={sender}") and age <= DAYS
        found = f"{sender}@{domain}"
    elif chained is not None:
        tag, domain, rest = chained.groups()
        is_good = _is_tag(tag, key, f"{domain}={rest}")
        found = f"SRS0{rest}@{domain}"
    else:
        return ""
    return found if is_good and _is_path(found) else ""


def _tag(key: bytes, text: str) -> str:
    """Without regard to case: some hosts change it on the way."""
    digest = hmac.digest(key, text.lower().encode(), hashlib.sha256)
    return base64.b32encode(digest).decode()[:_TAG_LENGTH]


def _is_tag(tag: str, key: bytes, text: str) -> bool:
    return hmac.compare_digest(tag.upper(), _tag(key, text))


def _is_path(text: str) -> bool:
    try:
        parse_address(text)
    except AddressError:
        return False
    return True
