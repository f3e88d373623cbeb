"""Strict parser of SMTP paths (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

The library's parser decodes encoded words, takes comments and repairs quoting; here nothing is repaired: a path means
one address to everybody, or it is an error. Beyond the grammar it takes what real addresses have and nobody reads in
another way: dots in any place of a local part, one at the end of a domain, underscores in domains, local parts above
64 octets."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

import idna

LOCAL_LIMIT = 64  # octets that everybody takes (RFC 5321 section 4.5.3.1.1); a path that comes may have more
DOMAIN_LIMIT = 255  # octets, RFC 5321 section 4.5.3.1.2
PATH_LIMIT = 256  # octets with the angle brackets, RFC 5321 section 4.5.3.1.3
LONGEST_PATH = PATH_LIMIT - 2

_UNQUOTED = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"')
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_IN_BRACKETS = re.compile(r'<((?:[^">]++|"(?:[^"\\]|\\.)*+")*+)>', re.DOTALL)
_ROUTE = re.compile(r"@[^,:<>@\s]+(?:,@[^,:<>@\s]+)*:")
_ENCODING = re.compile(r"\?[bq]\?", re.IGNORECASE)
_LIKE_ADDRESS = re.compile(r"[0-9.]+|ipv6:.*", re.IGNORECASE)
_BARE_PATH = re.compile(r"[^\s<>]+")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # general categories of what can't be printed in a line


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

    @property
    def is_quoted(self) -> bool:
        return self.local.startswith('"')

    @property
    def is_routed(self) -> bool:
        """Some servers take the local part for another path (RFC 5321 section 3.7)."""
        return any(char in self.local for char in "%!")


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


def take_bare_path(text: str) -> tuple[str, str]:
    """The same for a client that leaves the brackets out: the path ends at the first blank."""
    found = _BARE_PATH.match(text)
    if found is None:
        return take_path(text)
    if len(found[0].encode()) > LONGEST_PATH:
        raise AddressError("path too long")
    return found[0], text[found.end() :]


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
    """A path that can lead to a recipient; what a server might read in another way is refused."""
    address = parse_outside_path(path)
    refuse_ambiguous(address)
    return address


def parse_outside_path(path: str) -> Address:
    """A path that a user of ours may write to somewhere else, where the server of its domain alone says what a quoted
    local part, `%` or `!` means. For addresses of this gateway see `refuse_ambiguous`."""
    if path.lower() == "postmaster":
        return POSTMASTER
    if path.startswith("@"):
        raise AddressError("source routes are not taken")
    address = parse_address(path)
    if _holds_encoded_word(address.local):
        raise AddressError("encoded words are not taken")
    return address


def _holds_encoded_word(text: str) -> bool:
    """`=?charset?b?…?=` anywhere (RFC 2047 section 2); looks at each character once."""
    begin = text.find("=?")
    encoding = _ENCODING.search(text, begin + 2) if begin >= 0 else None
    return encoding is not None and text.rfind("?=") >= encoding.end()


def refuse_ambiguous(address: Address) -> None:
    """AddressError for a forward-path that could hide a second address (RFC 5321 section 3.7)."""
    if address.is_quoted:
        raise AddressError("quoted local parts are not taken")
    if address.is_routed:
        raise AddressError("routing by % or ! is not taken")


def parse_address(text: str) -> Address:
    """`local@domain`; raises AddressError. Limits to its length are the caller's (RFC 5321 section 4.5.3.1: none where
    that is possible); a path has its own."""
    quoted = _QUOTED.match(text)
    local = quoted[0] if quoted else text.rpartition("@")[0]
    if not local or text[len(local) : len(local) + 1] != "@":
        raise AddressError("address must be local-part@domain")
    if not quoted and not _UNQUOTED.fullmatch(local):
        raise AddressError("local part is not valid")
    if not local.isascii():
        _check_characters(local)
    return Address(local, parse_domain(text[len(local) + 1 :].removesuffix(".")))


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


def is_helo(text: str) -> bool:
    """Is it what a client should call itself: a domain or an address literal (RFC 5321 section 4.1.1.1)? A dot at the
    end is common and harmless."""
    if not text.startswith("["):
        return len(text) <= DOMAIN_LIMIT and _DOMAIN.fullmatch(text.removesuffix(".")) is not None
    try:
        return _parse_literal(text) == text
    except AddressError:
        return False


def read_helo(argument: bytes) -> str:
    """What a client calls itself, taken as it is where that does no harm: mail must not be refused because a name does
    not check out (RFC 5321 section 4.1.4), and programs send the name of the machine, whatever it is. What can't be
    printed becomes U+FFFD. AddressError for control characters, for nothing, for more than 255 octets, and for what
    pretends to be an address and is none."""
    if not argument or len(argument) > DOMAIN_LIMIT:
        raise AddressError("no name, or one that is too long")
    if any(octet < 0x20 or octet == 0x7F for octet in argument):
        raise AddressError("control characters are not taken")
    text = argument.decode("utf-8", "replace")
    if text.startswith("["):
        try:
            return _parse_literal(text)
        except AddressError:
            if _is_broken_address(text):
                raise
    return "".join("\ufffd" if unicodedata.category(char) in _INVISIBLE else char for char in text)


def _is_broken_address(literal: str) -> bool:
    """One without its tag, or with the name of an interface, is an address all the same."""
    inner = literal.removeprefix("[").removesuffix("]")
    address = inner[5:] if inner[:5].lower() == "ipv6:" else inner
    try:
        ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return _LIKE_ADDRESS.fullmatch(inner) is not None
    return False
