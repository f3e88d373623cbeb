"""Who a message comes from, as far as the checks of its sender tell: what policies look at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seal:
    """One hop that sealed the message (ARC): its domain, and the DMARC result that it says it saw."""

    domain: str
    dmarc: str


@dataclass(frozen=True, slots=True)
class Sender:
    """`author` is the domain of the From field that DMARC was about, `problem` why there is none. `spf` and `dmarc` are
    results of RFC 8601 (`pass`, `fail`, `none`, `temperror`, …), `asked_for` what the domain's owner wants done on a
    `fail` of DMARC: `none`, `quarantine` or `reject`. `seals`: of an ARC chain that holds, the newest first."""

    author: str = ""
    problem: str = ""
    spf: str = "none"
    dmarc: str = "none"
    asked_for: str = "none"
    seals: tuple[Seal, ...] = ()
