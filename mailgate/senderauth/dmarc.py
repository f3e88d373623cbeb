"""DMARC (RFC 9989): is the domain that people read the one that SPF and DKIM vouch for, and what does it ask for?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mailgate.model.dns import Answer, Status
from mailgate.senderauth import dmarc_record
from mailgate.senderauth.dmarc_record import DmarcPolicy, DmarcRecord, RecordError
from mailgate.senderauth.dns import LookupFailed, Names, is_name, records
from mailgate.senderauth.outcome import Outcome

MOST_STEPS = 8  # queries of one tree walk, RFC 9989 section 4.10


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """`outcome` is PASS, FAIL, NONE (no policy), TEMPERROR or PERMERROR. `domain` is the author's; `policy` what its
    owner asks for on FAIL, a test (t=y) being taken into account. `record_domain` publishes the policy, `record` is
    what it says. `dkim_aligned` names the domains of aligned signatures."""

    outcome: Outcome
    domain: str
    policy: DmarcPolicy = DmarcPolicy.NONE
    record_domain: str = ""
    record: DmarcRecord | None = None
    spf_aligned: bool = False
    dkim_aligned: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Published:
    domain: str
    record: DmarcRecord


async def evaluate(resolver: Names, author_domain: str, spf_domain: str, dkim_domains: Iterable[str]) -> DmarcResult:
    """`spf_domain` is the domain of a MAIL FROM that passed SPF, empty without; `dkim_domains` those of signatures that
    passed. Names are A-labels in lower case."""
    try:
        return await _evaluate(_Walker(resolver), author_domain, spf_domain, tuple(dict.fromkeys(dkim_domains)))
    except LookupFailed as error:
        return DmarcResult(Outcome.TEMPERROR, author_domain, reason=str(error))


async def _evaluate(walker: _Walker, author: str, spf_domain: str, dkim_domains: tuple[str, ...]) -> DmarcResult:
    found = await walker.policy(author)
    if found is None:
        return DmarcResult(Outcome.NONE, author)
    record = found.record
    spf_aligned = bool(spf_domain) and await walker.is_aligned(author, spf_domain, record.is_spf_strict)
    dkim_aligned = [each for each in dkim_domains if await walker.is_aligned(author, each, record.is_dkim_strict)]
    if spf_aligned or dkim_aligned:
        outcome, policy = Outcome.PASS, DmarcPolicy.NONE
    else:
        outcome, policy = Outcome.FAIL, await walker.asked_for(author, found)
    return DmarcResult(outcome, author, policy, found.domain, record, spf_aligned, tuple(dkim_aligned))


async def published(resolver: Names, domain: str) -> DmarcRecord | None:
    """The record at this very name, None where there is no valid one. LookupFailed."""
    return await _Walker(resolver).record(domain)


async def is_same_organization(resolver: Names, one: str, other: str) -> bool:
    """Have both domains the same organizational domain? LookupFailed."""
    return await _Walker(resolver).is_aligned(one, other, is_strict=False)


class _Walker:
    """Tree walks of one evaluation; each name is asked for once."""

    def __init__(self, resolver: Names) -> None:
        self._resolver = resolver
        self._known: dict[str, DmarcRecord | None] = {}

    async def policy(self, author: str) -> _Published | None:
        """Section 4.10.1: the record of the author's domain, its organizational domain, or its public suffix."""
        own = await self.record(author)
        if own is not None:
            return _Published(author, own)
        found = await self._walk(author)
        organization = _organization(author, found)
        by_domain = {each.domain: each for each in found}
        suffix = next((each for each in found if each.record.psd == "y"), None)
        return by_domain.get(organization) or suffix

    async def asked_for(self, author: str, found: _Published) -> DmarcPolicy:
        record, is_own = found.record, found.domain == author
        exists = is_own or record.nonexistent is None or await self._exists(author)
        policy = record.policy_for(is_own, exists)
        return policy.below if record.is_testing else policy

    async def is_aligned(self, author: str, domain: str, is_strict: bool) -> bool:
        """Section 4.10.2."""
        if author == domain:
            return True
        if is_strict:
            return False
        return await self._organization_of(author) == await self._organization_of(domain)

    async def _organization_of(self, domain: str) -> str:
        return _organization(domain, await self._walk(domain))

    async def _walk(self, domain: str) -> tuple[_Published, ...]:
        """Section 4.10: what is published on the way up, the longest name first."""
        found: list[_Published] = []
        for name in _steps(domain):
            record = await self.record(name)
            if record is not None:
                found.append(_Published(name, record))
                if record.psd != "u":
                    break
        return tuple(found)

    async def record(self, domain: str) -> DmarcRecord | None:
        if domain not in self._known:
            self._known[domain] = await self._published(domain)
        return self._known[domain]

    async def _published(self, domain: str) -> DmarcRecord | None:
        name = f"_dmarc.{domain}"
        texts = [text for text in await records(self._resolver.txt(name)) if dmarc_record.is_dmarc(text)]
        if len(texts) != 1:
            return None
        try:
            return dmarc_record.parse(texts[0])
        except RecordError:
            return None

    async def _exists(self, domain: str) -> bool:
        """Section 3.2.13 and appendix A.4: a name with any record exists, and only NXDOMAIN says that it has none. Some
        servers say so of a type of records only, so all types that mail needs are asked for."""
        for lookup in (self._resolver.a, self._resolver.mx, self._resolver.aaaa):
            answer: Answer[Any] = await lookup(domain)
            if not answer.is_known:
                raise LookupFailed(answer.reason)
            if answer.status is not Status.NXDOMAIN:
                return True
        return False


def _steps(domain: str) -> Iterable[str]:
    """The names of a tree walk: the domain, then at most seven labels of it, then one less each time."""
    if not is_name(f"_dmarc.{domain}"):
        return
    labels = domain.split(".")
    yield domain
    for count in range(min(len(labels) - 1, MOST_STEPS - 1), 0, -1):
        yield ".".join(labels[-count:])


def _organization(domain: str, found: tuple[_Published, ...]) -> str:
    """Section 4.10.2, from what the walk from `domain` found."""
    for each in found:
        if each.record.psd == "n":
            return each.domain
        if each.record.psd == "y" and each.domain != domain:
            count = each.domain.count(".") + 2
            return ".".join(domain.split(".")[-count:])
    return found[-1].domain if found else domain
