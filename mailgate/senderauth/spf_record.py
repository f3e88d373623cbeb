"""The syntax of SPF records (RFC 7208 sections 4.6, 5, 6, 7.1, 12). Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_VERSION = re.compile(r"v=spf1(?= |$)", re.IGNORECASE)
_DIRECTIVE = re.compile(r"([-+?~]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?=[:/]|$)(.*)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_MACRO = r"%\{[slodiphcrtvSLODIPHCRTV](?:[1-9][0-9]{0,2}|0+[1-9][0-9]{0,2})?[rR]?[-.+,/_=]*\}|%%|%_|%-"
_MACRO_STRING = re.compile(rf"(?:[\x21-\x24\x26-\x7e]|{_MACRO})*")
_EXPLANATION_MACRO = re.compile(r"%\{[crtCRT]")
_TOP_LABEL = re.compile(r"[0-9]*+[A-Za-z][A-Za-z0-9]*+|[A-Za-z0-9]++-[A-Za-z0-9-]*[A-Za-z0-9]")
_CIDR = re.compile(r"(.*?)(?:/(0|[1-9][0-9]{0,2}))?(?://(0|[1-9][0-9]{0,2}))?")
LONGEST_RECORD = 4096  # characters; the largest that real domains publish hold some 2,000
LONGEST_TERM = 512  # characters: a name of 253, whose macros may be longer than what they stand for
_TARGET_REQUIRED = ("include", "exists")
_TARGET_ALLOWED = ("include", "exists", "a", "mx", "ptr")


class RecordError(ValueError):
    """Permerror: the text says which term is wrong."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """`qualifier` is one of `+-~?`; `target` the domain-spec with its macros, empty for the current domain; `network`
    of ip4 and ip6; the prefixes are those of a and mx."""

    qualifier: str
    name: str
    target: str = ""
    network: Network | None = None
    prefix4: int = 32
    prefix6: int = 128

    def __str__(self) -> str:
        value = self.network or self.target
        return f"{self.name}:{value}" if value else self.name


@dataclass(frozen=True, slots=True)
class Record:
    """`redirect` and `explanation` (exp=) are domain-specs, None where there is no such modifier."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str | None = None
    explanation: str | None = None

    @property
    def bare_names(self) -> tuple[str, ...]:
        """Domain-specs of one label only: the grammar has no such (RFC 7208 section 7.1), though some parsers do."""
        specs = [*(each.target for each in self.mechanisms), self.redirect or "", self.explanation or ""]
        return tuple(spec for spec in specs if spec and "%" not in spec and "." not in spec.removesuffix("."))


def is_spf(text: str) -> bool:
    """Is the TXT record one of SPF (section 4.5)?"""
    return _VERSION.match(text) is not None


def parse(text: str) -> Record:
    """Raises RecordError; nothing of a record counts if any of it is wrong (section 4.6). Section 10.1.2 wants records
    short enough for one UDP answer; what is longer than LONGEST_RECORD, or holds a term longer than LONGEST_TERM, is
    wrong too."""
    if not is_spf(text):
        raise RecordError("not an SPF record")
    if len(text) > LONGEST_RECORD:
        raise RecordError(f"the record is longer than {LONGEST_RECORD} characters")
    if not text.isascii():
        raise RecordError("the record holds characters beyond ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in filter(None, text[len("v=spf1") :].split(" ")):
        if len(term) > LONGEST_TERM:
            raise RecordError(f"a term is longer than {LONGEST_TERM} characters: {term[:80]!r}...")
        directive = _DIRECTIVE.fullmatch(term)
        if directive is not None:
            mechanisms.append(_mechanism(directive[1] or "+", directive[2].lower(), directive[3], term))
            continue
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            raise RecordError(f"unknown term {term[:80]!r}")
        _add_modifier(modifiers, modifier[1].lower(), modifier[2], term)
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def _add_modifier(modifiers: dict[str, str], name: str, value: str, term: str) -> None:
    if name in ("redirect", "exp"):
        if name in modifiers:
            raise RecordError(f"{name}= stands there twice")
        _check_domain_spec(value, term)
        modifiers[name] = value
    elif not _MACRO_STRING.fullmatch(value):
        raise RecordError(f"wrong macro in {term[:80]!r}")


def _mechanism(qualifier: str, name: str, rest: str, term: str) -> Mechanism:
    if name == "all":
        if rest:
            raise RecordError(f"{term[:80]!r}: all takes nothing")
        return Mechanism(qualifier, name)
    if name in ("ip4", "ip6"):
        return Mechanism(qualifier, name, network=_network(name, rest, term))
    if rest in (":", "") and (rest or name in _TARGET_REQUIRED):
        raise RecordError(f"{term[:80]!r} names no domain")
    target, prefix4, prefix6 = rest.removeprefix(":"), 32, 128
    if name in ("a", "mx"):
        target, prefix4, prefix6 = _prefixes(target, term)
        if rest.startswith(":") and not target:
            raise RecordError(f"{term[:80]!r} names no domain")
    elif rest.startswith("/"):
        raise RecordError(f"{term[:80]!r}: {name} takes no prefix length")
    if target:
        _check_domain_spec(target, term)
    return Mechanism(qualifier, name, target, None, prefix4, prefix6)


def _prefixes(text: str, term: str) -> tuple[str, int, int]:
    match = _CIDR.fullmatch(text)
    assert match is not None
    prefix4, prefix6 = int(match[2] or 32), int(match[3] or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise RecordError(f"{term[:80]!r}: prefix too long")
    return match[1], prefix4, prefix6


def _network(name: str, rest: str, term: str) -> Network:
    address, slash, prefix = rest.removeprefix(":").partition("/")
    limit = 32 if name == "ip4" else 128
    try:
        if not rest.startswith(":") or (slash and not re.fullmatch(r"0|[1-9][0-9]{0,2}", prefix)) or "%" in address:
            raise ValueError(term)
        length = int(prefix) if slash else limit
        if length > limit:
            raise ValueError(term)
        if name == "ip4":
            return ipaddress.IPv4Network((ipaddress.IPv4Address(address), length), strict=False)
        return ipaddress.IPv6Network((ipaddress.IPv6Address(address), length), strict=False)
    except ValueError:
        raise RecordError(f"{term[:80]!r} is not a network") from None


def _check_domain_spec(spec: str, term: str) -> None:
    """Section 7.1: macro-string, then a top label or a macro; letters c, r, t mean something in explanations only."""
    if _EXPLANATION_MACRO.search(spec) or not _MACRO_STRING.fullmatch(spec) or not _ends_well(spec):
        raise RecordError(f"{term[:80]!r} holds no valid domain")


def _ends_well(spec: str) -> bool:
    last_label = spec.removesuffix(".").rpartition(".")[2]
    is_macro = spec.endswith(("%%", "%_", "%-")) or (
        spec.endswith("}") and "%{" in spec and spec.find("}", spec.rfind("%{")) == len(spec) - 1
    )
    return is_macro or _TOP_LABEL.fullmatch(last_label) is not None
