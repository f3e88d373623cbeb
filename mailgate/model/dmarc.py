"""What aggregate reports tell of mail (RFC 9990): the policy that was published, and what became of messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Disposition = Literal["none", "pass", "quarantine", "reject"]
"""What was done on account of DMARC; `none`: nothing, although it did not pass."""


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """The record that applied, found at `domain`: tags by their names, `sp` and `np` empty where not given."""

    domain: str
    p: str
    sp: str = ""
    np: str = ""
    adkim: Literal["r", "s"] = "r"
    aspf: Literal["r", "s"] = "r"
    is_testing: bool = False


@dataclass(frozen=True, slots=True)
class DkimSeen:
    """One signature: `result` by RFC 8601."""

    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What one message showed; messages that show the same are counted together. `dkim`, `spf`: passed and aligned.
    `override` is why something else was done than the policy asks for, in the words of the reports, or empty.
    `spf_domain`, `spf_result`: of MAIL FROM, which for the null reverse-path is postmaster at the HELO name."""

    policy: PublishedPolicy
    source: str
    disposition: Disposition
    dkim: bool
    spf: bool
    header_from: str
    envelope_from: str
    override: str = ""
    dkim_results: tuple[DkimSeen, ...] = ()
    spf_domain: str = ""
    spf_result: str = "none"


@dataclass(frozen=True, slots=True)
class Counted:
    """How many messages showed the same."""

    seen: Seen
    messages: int
