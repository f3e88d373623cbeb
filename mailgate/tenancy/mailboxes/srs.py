"""Reverse-paths of mail that is forwarded (the Sender Rewriting Scheme, www.libsrs2.org/srs/srs.pdf): they are of the
forwarding domain, so that SPF holds at the next hop, and lead bounces back to who sent the mail. Pure.

`SRS0=tag=day=domain=local@us` is the path of a sender; `SRS1=day+tag=domain==tag=day=domain=local@us` that of another
forwarder before us, whose own part behind `==` stays as it is. The day stands within our tag there, since a forwarder
behind us takes what follows the tag for the domain. A tag is 10 letters (50 bits) of an HMAC; ours had 6 before, and no
day in SRS1, which is taken for as long as mail of that time may bounce.

Whole paths in a local part are often longer than 64 octets: RFC 5321 section 4.5.3.1 has servers take more where they
can, those that forward do so, and so do we (`model.address`). The length of the path (256 octets) is kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from mailgate.model.address import LONGEST_PATH, AddressError, parse_address

DAYS = 14  # that bounces may take
_CYCLE = 1024  # days after which the two letters of the day come again
_TAG_LENGTH = 10
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

_REWRITTEN = re.compile(r"srs[01][=+-]", re.IGNORECASE)
_DIRECT = re.compile(r"srs0[=+-]([a-z2-7]{10}|[a-z2-7]{6})=([a-z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL)
_CHAINED = re.compile(
    r"srs1[=+-](?:([a-z2-7]{2})([a-z2-7]{10})|([a-z2-7]{6}))=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL
)
_OTHERS_CHAINED = re.compile(r"srs1[=+-][^=]+=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)


def is_rewritten(local: str) -> bool:
    """Does it look like one, whoever made it?"""
    return _REWRITTEN.match(local) is not None


def rewritten(reverse_path: str, domain: str, key: bytes, day: int) -> str:
    """The reverse-path at `domain` for mail from `reverse_path`; `day` since 1970. Empty (the null one) where the
    sender has none, or one that can't be wrapped: a quoted local part, or one so long that no path holds it."""
    local, _, sender_domain = reverse_path.rpartition("@")
    if not local or local.startswith('"'):
        return ""
    stamp = _BASE32[day % _CYCLE >> 5] + _BASE32[day % 32]
    if not is_rewritten(local):
        rest = f"{stamp}={sender_domain}={local}"
        found = f"SRS0={_tag(key, rest)}={rest}@{domain}"
    else:
        chained = _OTHERS_CHAINED.fullmatch(local)
        rest = f"{chained[1]}={chained[2]}" if chained is not None else f"{sender_domain}={local[4:]}"
        found = f"SRS1={stamp}{_tag(key, stamp + rest)}={rest}@{domain}"
    return found if len(found.encode()) <= LONGEST_PATH else ""


def original(local: str, key: bytes, day: int, short_until: int | None = None) -> str:
    """Where bounces to this local part are to go; empty where it is not ours or too old. `day` since 1970. Tags of 6
    letters were made until the day `short_until` (None: never)."""
    direct, chained = _DIRECT.fullmatch(local), _CHAINED.fullmatch(local)
    if direct is not None:
        tag, stamp, domain, sender = direct.groups()
        is_good, made = _is_tag(tag, key, f"{stamp}={domain}={sender}"), day - _age(stamp, day)
        found = f"{sender}@{domain}"
    elif chained is not None:
        stamp, tag, short, domain, rest = chained.groups()
        if short:
            is_good, made = _is_tag(short, key, f"{domain}={rest}"), day - DAYS if short_until is None else short_until
        else:
            is_good, made = _is_tag(tag, key, f"{stamp}{domain}={rest}"), day - _age(stamp, day)
        tag, found = tag or short, f"SRS0{rest}@{domain}"
    else:
        return ""
    is_long = len(tag) == _TAG_LENGTH
    is_timely = day <= made + DAYS and (is_long or (short_until is not None and made <= short_until))
    return found if is_good and is_timely and _is_path(found) else ""


def _age(stamp: str, day: int) -> int:
    """Days since the one that the two letters stand for."""
    return (day - (_BASE32.index(stamp[0].upper()) << 5 | _BASE32.index(stamp[1].upper()))) % _CYCLE


def _tag(key: bytes, text: str, length: int = _TAG_LENGTH) -> str:
    """Without regard to case: some hosts change it on the way."""
    digest = hmac.digest(key, text.lower().encode("utf-8", "surrogatepass"), hashlib.sha256)
    return base64.b32encode(digest).decode()[:length]


def _is_tag(tag: str, key: bytes, text: str) -> bool:
    return hmac.compare_digest(tag.upper(), _tag(key, text, len(tag)))


def _is_path(text: str) -> bool:
    try:
        parse_address(text)
    except AddressError:
        return False
    return True
