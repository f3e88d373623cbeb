"""DMARC policy records (RFC 9989 section 4.7), those written for RFC 7489 included. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from mailgate.model.address import AddressError, parse_address
from mailgate.senderauth import tags
from mailgate.senderauth.tags import TagError

LONGEST_RECORD = 4096  # characters
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(;|$)")
_REPORT_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):([^!,;\s]+)(?:!([0-9]{1,15})([kmgtKMGT]?))?")

_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


class DmarcPolicy(enum.StrEnum):
    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def below(self) -> DmarcPolicy:
        """What a domain that tests its policy (t=y) asks for."""
        return DmarcPolicy.QUARANTINE if self is DmarcPolicy.REJECT else DmarcPolicy.NONE


class RecordError(ValueError):
    """Not a policy record, or one that leads to no DMARC processing; the text says why."""


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """Where aggregate reports are wanted: a mail address, and how many bytes a report may have there (RFC 7489 section
    6.2; 0: no limit was given)."""

    address: str
    most_bytes: int = 0

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """`subdomains` (sp) and `nonexistent` (np) are None where not given. `psd` is `y`, `n` or `u`. `targets` are those
    of rua=, other schemes than mailto: left out."""

    policy: DmarcPolicy
    subdomains: DmarcPolicy | None = None
    nonexistent: DmarcPolicy | None = None
    is_dkim_strict: bool = False
    is_spf_strict: bool = False
    psd: str = "u"
    is_testing: bool = False
    targets: tuple[ReportTarget, ...] = ()

    @property
    def reports(self) -> tuple[str, ...]:
        """The addresses of the targets."""
        return tuple(target.address for target in self.targets)

    def policy_for(self, is_own: bool, exists: bool) -> DmarcPolicy:
        """What holds for the domain itself, for a subdomain that exists, for one that does not."""
        if is_own:
            return self.policy
        below = self.subdomains or self.policy
        return below if exists else self.nonexistent or below


def is_dmarc(text: str) -> bool:
    """Does the TXT record start with the tag v= of this version?"""
    return _VERSION.match(text) is not None


def parse(text: str) -> DmarcRecord:
    """What is wrong behind the version is passed over, and defaults hold (section 4.8). But without a valid p=, or with
    a wrong sp= or np=, it is p=none where somebody wants reports, else no record (section 4.10.1). RecordError."""
    if not is_dmarc(text):
        raise RecordError("not a DMARC record")
    if len(text) > LONGEST_RECORD:
        raise RecordError(f"the record is longer than {LONGEST_RECORD} characters")
    found = _tags(text)
    policy = _policy(found, "p")
    if policy is None or any(name in found and _policy(found, name) is None for name in ("sp", "np")):
        if not _has_report_uri(found.get("rua", "")):
            raise RecordError("no valid policy and nobody to report to")
        found |= {"p": DmarcPolicy.NONE.value, "sp": "", "np": ""}
        policy = DmarcPolicy.NONE
    return DmarcRecord(
        policy=policy,
        subdomains=_policy(found, "sp"),
        nonexistent=_policy(found, "np"),
        is_dkim_strict=found.get("adkim", "").lower() == "s",
        is_spf_strict=found.get("aspf", "").lower() == "s",
        psd=_psd(found),
        # pct=0 was how RFC 7489 said it; other percentages have no meaning any more (RFC 9989 appendix A.6)
        is_testing=found.get("t", "y" if found.get("pct") == "0" else "n").lower() == "y",
        targets=report_targets(found.get("rua", "")),
    )


def _tags(text: str) -> dict[str, str]:
    """Values by tag name; names of DMARC tags have no case (RFC 5234 section 2.3). What is no tag is left out. But of a
    tag that stands there twice nobody knows which one counts, so the record is none (RFC 6376 section 3.2)."""
    found: dict[str, str] = {}
    for segment in text.split(";"):
        try:
            ((name, value),) = tags.parse(segment).items()
        except TagError:
            continue
        if name.lower() in found:
            raise RecordError(f"tag {name} stands there twice")
        found[name.lower()] = value
    return found


def _policy(found: Mapping[str, str], name: str) -> DmarcPolicy | None:
    try:
        return DmarcPolicy(found.get(name, "").lower())
    except ValueError:
        return None


def _psd(found: Mapping[str, str]) -> str:
    value = found.get("psd", "u").lower()
    return value if value in ("y", "n") else "u"


def _has_report_uri(text: str) -> bool:
    return any(_REPORT_URI.fullmatch(uri.strip()) for uri in text.split(","))


def report_targets(text: str) -> tuple[ReportTarget, ...]:
    """The mail addresses of a list of report URIs."""
    targets = []
    for uri in text.split(","):
        match = _REPORT_URI.fullmatch(uri.strip())
        if match is None or match[1].lower() != "mailto":
            continue
        try:
            address = str(parse_address(unquote(match[2].partition("?")[0])))
        except AddressError:
            continue
        targets.append(ReportTarget(address, int(match[3] or 0) << _SHIFTS[(match[4] or "").lower()]))
    return tuple(targets)
