"""MTA-STS: the TXT record, the policy file, and which hosts a policy allows (RFC 8461 sections 3 and 4). Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailgate.model.address import AddressError, parse_domain
from mailgate.transport.fields import RecordError, check_extension, fields_after

LONGEST_AGE = 31_557_600  # seconds, RFC 8461 section 3.2
LARGEST_POLICY = 65_536  # bytes, RFC 8461 section 3.3
_VERSION = "v=STSv1"
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_FIELD_VALUE = re.compile(r"[\x21-\x7e\u0080-\U0010ffff](?:[\x20-\x7e\u0080-\U0010ffff]*[\x21-\x7e\u0080-\U0010ffff])?")
_AGE = re.compile(r"[0-9]{1,10}")


class PolicyError(ValueError):
    """Not a valid policy; the text says why."""


class Mode(enum.StrEnum):
    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """`mx` patterns in lower case; `max_age` in seconds; `text` as it was fetched, for TLS reports."""

    mode: Mode
    mx: tuple[str, ...]
    max_age: int
    text: str = ""

    def allows(self, host: str) -> bool:
        """RFC 8461 section 4.1: `*.` stands for exactly one label."""
        name = host.lower().rstrip(".")
        return name in self.mx or f"*.{name.partition('.')[2]}" in self.mx


def parse_record(text: str) -> str:
    """The id of one TXT record, the first where it stands twice (RFC 8461 section 3.2); RecordError."""
    found = ""
    for name, value in fields_after(_VERSION, text):
        if name != "id" or found:
            check_extension(name, value)
        elif not _ID.fullmatch(value):
            raise RecordError("id is not 1 to 32 letters and digits")
        else:
            found = value
    if not found:
        raise RecordError("id is missing")
    return found


def id_of(texts: Sequence[str]) -> str:
    """The id from all TXT records of the name: those of other kinds are left out, exactly one must remain; else
    empty: the domain does not take part (RFC 8461 section 3.1)."""
    ours = [text for text in texts if re.match(rf"{_VERSION}[ \t]*;", text)]
    if len(ours) != 1:
        return ""
    try:
        return parse_record(ours[0])
    except RecordError:
        return ""


def parse_policy(text: str) -> StsPolicy:
    """PolicyError for anything that RFC 8461 section 3.2 does not allow. Of a field that stands twice the first counts,
    but for mx."""
    values: dict[str, str] = {}
    mx: list[str] = []
    for line in text.rstrip(" \t\r\n").split("\n"):
        name, value = _field(line.removesuffix("\r"))
        if name == "mx":
            mx.append(_pattern(value))
        else:
            values.setdefault(name, value)
    if values.get("version") != "STSv1":
        raise PolicyError("version is not STSv1")
    try:
        mode = Mode(values.get("mode", ""))
    except ValueError:
        raise PolicyError("mode is none of enforce, testing, none") from None
    age = values.get("max_age", "")
    if not _AGE.fullmatch(age) or int(age) > LONGEST_AGE:
        raise PolicyError(f"max_age is not a number of seconds up to {LONGEST_AGE}")
    if not mx and mode is not Mode.NONE:
        raise PolicyError(f"mx is missing, which mode {mode} needs")
    return StsPolicy(mode, tuple(mx), int(age), text)


def _field(line: str) -> tuple[str, str]:
    name, colon, rest = line.partition(":")
    value = rest.strip(" \t")
    if not colon or not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
        raise PolicyError(f"{line[:80]!r} is not name: value")
    return name, value


def _pattern(value: str) -> str:
    host = value.removeprefix("*.")
    try:
        if not host.isascii() or parse_domain(host).startswith("["):
            raise AddressError("not a domain name")
    except AddressError as error:
        raise PolicyError(f"mx {value!r}: {error}") from None
    return value.lower()


def policy_domain(next_hop: str) -> str:
    """The domain whose policy counts for a next hop, written as a domain, or as a host in brackets, or with a port or
    service; empty where it can have none (addresses, malformed names)."""
    host = re.sub(r":[A-Za-z0-9-]{1,15}$", "", next_hop)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        domain = parse_domain(host.removesuffix("."))
    except AddressError:
        return ""
    is_address = domain.startswith("[") or re.fullmatch(r"[0-9.]+", domain) is not None
    return "" if is_address else domain
