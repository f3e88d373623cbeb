"""Macros of SPF (RFC 7208 section 7). Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_MACRO = re.compile(r"%(?:\{([A-Za-z])([0-9]*)([rR]?)([-.+,/_=]*)\}|([%_-]))")
_LITERALS = {"%": "%", "_": " ", "-": "%20"}
_LONGEST_NAME = 253
_MOST_LABELS = 127


class MacroError(ValueError):
    """A macro that is not allowed here, or a stray percent sign."""


@dataclass(frozen=True, slots=True)
class Values:
    """What the letters stand for. `validated` is the name of %{p}; `receiver` our host name; `now` in seconds."""

    local: str
    sender_domain: str
    domain: str
    ip: Ip
    helo: str
    validated: str = "unknown"
    receiver: str = "unknown"
    now: int = 0

    def get(self, letter: str) -> str:
        match letter:
            case "s":
                return f"{self.local}@{self.sender_domain}"
            case "l":
                return self.local
            case "o":
                return self.sender_domain
            case "d":
                return self.domain
            case "i":
                return dotted(self.ip)
            case "p":
                return self.validated
            case "v":
                return "in-addr" if self.ip.version == 4 else "ip6"
            case "h":
                return self.helo
            case "c":
                return str(self.ip)
            case "r":
                return self.receiver
            case "t":
                return str(self.now)
        raise MacroError(f"unknown macro letter {letter!r}")


def dotted(ip: Ip) -> str:
    """Section 7.3: IPv6 addresses as dotted nibbles."""
    return str(ip) if isinstance(ip, ipaddress.IPv4Address) else ".".join(ip.exploded.replace(":", "").upper())


def needs_validated_name(text: str) -> bool:
    """Does it hold %{p}, which takes DNS lookups?"""
    return any((match[1] or "").lower() == "p" for match in _MACRO.finditer(text))


def expand(text: str, values: Values, is_explanation: bool = False) -> str:
    """Raises MacroError. Letters c, r and t mean something in explanations only."""

    def replacement(match: re.Match[str]) -> str:
        if match[5]:
            return _LITERALS[match[5]]
        letter = match[1].lower()
        if letter in "crt" and not is_explanation:
            raise MacroError(f"macro {letter} outside an explanation")
        value = _transformed(values.get(letter), match[2], bool(match[3]), match[4] or ".")
        return quote(value, safe="-._~") if match[1].isupper() else value

    rest = _MACRO.sub("", text)
    if "%" in rest:
        raise MacroError("stray percent sign")
    return _MACRO.sub(replacement, text)


def _transformed(value: str, digits: str, is_reversed: bool, delimiters: str) -> str:
    parts = re.split(f"[{re.escape(delimiters)}]", value)
    if is_reversed:
        parts.reverse()
    if digits:
        significant = digits.lstrip("0")
        if not significant:
            raise MacroError("zero labels asked for")
        parts = parts[-(min(int(significant), _MOST_LABELS) if len(significant) <= 3 else _MOST_LABELS) :]
    return ".".join(parts)


def expand_domain(spec: str, values: Values) -> str:
    """A domain-spec as a name without final dot, shortened from the left where it is too long (section 7.3)."""
    name = expand(spec, values).removesuffix(".")
    if len(name) <= _LONGEST_NAME:
        return name
    dot = name.find(".", len(name) - _LONGEST_NAME - 1)
    return name[(dot if dot >= 0 else name.rfind(".")) + 1 :]
