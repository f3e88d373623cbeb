"""Value types of policy files: sizes with a unit, words given alone or as a list, globs."""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from mailgate.model.address import AddressError, parse_address
from mailgate.model.decision import Action
from mailgate.model.defect import DEFECTS
from mailgate.model.part_class import PartClass
from mailgate.model.placement import Placement

ANY_OTHER_DEFECT = "*"  # in place of a name

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_SIZE = re.compile(r"([0-9]{1,12}) ?([a-z]*)", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WIDEST = {4: 8, 6: 16}  # bits of the prefix, by version
_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": "^[0-9]{1,12} ?([KkMmGg][Ii]?)?[Bb]?$", "examples": ["10 MiB", "250 kB"]},
    ]
}


def parse_size(value: Any) -> int:
    """Bytes from an integer or a text such as `10 MiB` (KiB, MiB, GiB are powers of 1,024; kB, MB, GB of 1,000)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2].lower() not in _UNITS:
        raise PydanticCustomError("size", 'is not a size; write a number of bytes, or a text such as "10 MiB"')
    return int(match[1]) * _UNITS[match[2].lower()]


def format_size(size: int) -> str:
    """The shortest exact text: 52428800 is `50 MiB`, 1000 is `1000 bytes`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"


def _address(value: str) -> str:
    if value:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise PydanticCustomError("address", "is not an IP address") from None
    return value


def _mail_address(value: str) -> str:
    if value:
        try:
            parse_address(value)
        except AddressError as error:
            raise PydanticCustomError("mail_address", "is not a mail address: {why}", {"why": str(error)}) from None
    return value


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise PydanticCustomError(
            "network", 'is not a network; write an address or a range such as "192.0.2.0/24"'
        ) from None
    if network.prefixlen < _WIDEST[network.version]:
        raise PydanticCustomError("network", "takes in too much of the Internet; name the addresses of single servers")
    return str(network)


def _defect(value: str) -> str:
    if value != ANY_OTHER_DEFECT and value not in DEFECTS:
        near = difflib.get_close_matches(value, DEFECTS, n=1)
        advice = f"did you mean {near[0]}?" if near else "docs/inspection.md lists them; * stands for all others"
        raise PydanticCustomError("defect", f"is not the name of a defect; {advice}")
    return value


def _fingerprint(value: str) -> str:
    """Hexadecimal in small letters, from what people and programs write, such as `AB:CD:…`."""
    plain = value.lower().replace(":", "")
    if _SHA256.fullmatch(plain) is None:
        raise PydanticCustomError("fingerprint", "is not a SHA-256 fingerprint; write its 64 hexadecimal digits")
    return plain


def listed(value: Any) -> Any:
    """One text may stand for a list of one."""
    return (value,) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=1, le=1 << 40), WithJsonSchema(_SIZE_SCHEMA)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Seconds = Annotated[int, Field(strict=True, ge=1, le=86_400)]
Days = Annotated[int, Field(strict=True, ge=1, le=3_650)]
Flag = Annotated[bool, Field(strict=True)]

_Glob = Annotated[str, StringConstraints(max_length=320)]
_Extension = Annotated[str, StringConstraints(pattern=r"^\.?[^\s./\\*?]+(\.[^\s./\\*?]+)*$", max_length=40)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
Globs = Annotated[
    tuple[_Glob, ...], Field(min_length=1), BeforeValidator(listed, json_schema_input_type=_Glob | tuple[_Glob, ...])
]
Extensions = Annotated[
    tuple[_Extension, ...],
    Field(min_length=1),
    BeforeValidator(listed, json_schema_input_type=_Extension | tuple[_Extension, ...]),
]
PartClasses = Annotated[
    tuple[PartClass, ...],
    Field(min_length=1),
    BeforeValidator(listed, json_schema_input_type=PartClass | tuple[PartClass, ...]),
]

_Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Texts = Annotated[
    tuple[_Text, ...], Field(min_length=1), BeforeValidator(listed, json_schema_input_type=_Text | tuple[_Text, ...])
]
Placements = Annotated[
    tuple[Placement, ...],
    Field(min_length=1),
    BeforeValidator(listed, json_schema_input_type=Placement | tuple[Placement, ...]),
]

StopAction = Literal[Action.QUARANTINE, Action.REJECT]
RuleAction = Literal[Action.ACCEPT, Action.QUARANTINE, Action.REJECT]
DownAction = Literal[Action.DEFER, Action.HOLD]
DefectName = Annotated[str, AfterValidator(_defect), Field(examples=["bare-lf"])]


def names_domain(patterns: tuple[str, ...], domain: str) -> bool:
    """Does a pattern fit? `*.` stands for all names below, `*` for all domains."""
    return any(
        pattern in ("*", domain) or (pattern.startswith("*.") and domain.endswith(pattern[1:])) for pattern in patterns
    )


DomainPattern = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)$", max_length=255, to_lower=True),
]
_OwnDomain = Annotated[
    str,
    StringConstraints(pattern=r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=255, to_lower=True),
]
OwnDomainSet = Annotated[
    tuple[_OwnDomain, ...],
    BeforeValidator(listed, json_schema_input_type=_OwnDomain | tuple[_OwnDomain, ...]),
]
OwnDomains = Annotated[OwnDomainSet, Field(min_length=1)]
DomainSet = Annotated[
    tuple[DomainPattern, ...],
    BeforeValidator(listed, json_schema_input_type=DomainPattern | tuple[DomainPattern, ...]),
]
DomainPatterns = Annotated[DomainSet, Field(min_length=1)]
HostPort = Annotated[
    str, StringConstraints(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$", max_length=262)
]
HostPortOrSocket = Annotated[
    str,
    StringConstraints(
        pattern=r"^((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}|unix:/[^\x00-\x1f\x7f]{1,106})$", max_length=262
    ),
]
IpAddress = Annotated[str, AfterValidator(_address), Field(examples=["192.0.2.25"])]
Fingerprint = Annotated[str, StringConstraints(max_length=128), AfterValidator(_fingerprint)]
_Network = Annotated[str, AfterValidator(_network), Field(examples=["192.0.2.0/24"])]
Networks = Annotated[
    tuple[_Network, ...], BeforeValidator(listed, json_schema_input_type=_Network | tuple[_Network, ...])
]
Digests = Annotated[
    tuple[Fingerprint, ...],
    Field(min_length=1),
    BeforeValidator(listed, json_schema_input_type=Fingerprint | tuple[Fingerprint, ...]),
]
