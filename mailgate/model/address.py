"""Strict parser of SMTP paths (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

The library's parser decodes encoded words, takes comments and repairs quoting; here a path is what the grammar says or
it is an error."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

import idna

LOCAL_LIMIT = 64  # octets, RFC 5321 section 4.5.3.1.1
DOMAIN_LIMIT = 255  # octets, RFC 5321 section 4.5.3.1.2
PATH_LIMIT = 256  # octets with the angle brackets, RFC 5321 section 4.5.3.1.3
LONGEST_PATH = PATH_LIMIT - 2

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_DOT_STRING = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"')
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?")
_IN_BRACKETS = re.compile(r'<((?:[^">]++|"(?:[^"\\]|\\.)*+")*+)>', re.DOTALL)
_ROUTE = re.compile(r"@[^,:<>@\s]+(?:,@[^,:<>@\s]+)*:")
_ENCODING = re.compile(r"\?[bq]\?", re.IGNORECASE)

_WRAPPED = re.compile(r"srs[01][=+-]|bounces\+srs=|prvs=", re.IGNORECASE)


class AddressError(ValueError):
    """Not a valid path; the text says why and may be shown to the peer."""


@dataclass(frozen=True, slots=True)
class Address:
    """`local` as it was written (quotes kept), `domain` as A-label in lower case, or an address literal in brackets."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local

    @property
    def is_ascii(self) -> bool:
        return self.local.isascii()

    @property
    def is_literal(self) -> bool:
        return self.domain.startswith("[")


POSTMASTER = Address("postmaster", "")


def take_path(text: str) -> tuple[str, str]:
    """Cuts `<…>` off the front: (what stands between the brackets, the rest). A `>` in a quoted string ends nothing."""
    if not text.startswith("<"):
        raise AddressError("path must stand in angle brackets")
    found = _IN_BRACKETS.match(text)
    if found is None:
        raise AddressError("path is not closed")
    if len(found[0].encode()) > PATH_LIMIT:
        raise AddressError("path too long")
    return found[1], text[found.end() :]


def parse_reverse_path(path: str) -> Address | None:
    """Any valid path, or None for the null one. A source route is taken and ignored (RFC 5321 appendix C)."""
    if not path:
        return None
    route = _ROUTE.match(path)
    if route is not None:
        for hop in route[0][:-1].split(","):
            parse_domain(hop[1:])
        path = path[route.end() :]
    return parse_address(path)


def parse_forward_path(path: str) -> Address:
    """A path that can lead to a recipient: forms that other servers read in another way are refused."""
    if path.lower() == "postmaster":
        return POSTMASTER
    if path.startswith("@"):
        raise AddressError("source routes are not taken")
    address = parse_address(path)
    if address.local.startswith('"'):
        raise AddressError("quoted local parts are not taken")
    if any(char in address.local for char in "%!"):
        raise AddressError("routing by % or ! is not taken")
    if _holds_encoded_word(address.local):
        raise AddressError("encoded words are not taken")
    return address


def _holds_encoded_word(text: str) -> bool:
    """`=?charset?b?…?=` anywhere (RFC 2047 section 2); looks at each character once."""
    begin = text.find("=?")
    encoding = _ENCODING.search(text, begin + 2) if begin >= 0 else None
    return encoding is not None and text.rfind("?=") >= encoding.end()


def parse_address(text: str) -> Address:
    """`local@domain`; raises AddressError."""
    quoted = _QUOTED.match(text)
    local = quoted[0] if quoted else text.rpartition("@")[0]
    if not local or text[len(local) : len(local) + 1] != "@":
        raise AddressError("address must be local-part@domain")
    if not quoted and not _DOT_STRING.fullmatch(local):
        raise AddressError("local part is not valid")
    # forwarders wrap whole paths into local parts; more than the limit may be taken (RFC 5321 section 4.5.3.1)
    if len(local.encode()) > LOCAL_LIMIT and not _WRAPPED.match(local):
        raise AddressError("local part too long")
    if not local.isascii():
        _check_characters(local)
    return Address(local, parse_domain(text[len(local) + 1 :]))


def _check_characters(local: str) -> None:
    """No control, line separator or unassigned character hides in a UTF-8 local part (RFC 6532 section 3.1)."""
    for char in local:
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp", "Cn"):
            raise AddressError("local part holds a control character")


def parse_domain(text: str) -> str:
    """The domain as A-labels in lower case, or an address literal in canonical form; raises AddressError."""
    if text.startswith("["):
        return _parse_literal(text)
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise AddressError("domain is not a valid internationalised name") from None
    if len(text) > DOMAIN_LIMIT:
        raise AddressError("domain too long")
    if not _DOMAIN.fullmatch(text):
        raise AddressError("domain is not valid")
    return text.lower()


def _parse_literal(text: str) -> str:
    inner = text[1:-1] if text.endswith("]") else ""
    try:
        if "%" in inner:
            raise AddressError("address literal names a zone")
        if inner[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ipaddress.AddressValueError:
        raise AddressError("address literal is not valid") from None


def parse_helo(text: str) -> str:
    """The name a client gives: a domain or an address literal (RFC 5321 section 4.1.1.1). Underscores and a dot at the
    end are common and harmless here. Raises AddressError."""
    if text.startswith("["):
        return _parse_literal(text)
    if len(text) > DOMAIN_LIMIT or not _HOST.fullmatch(text):
        raise AddressError("not a host name or address literal")
    return text
