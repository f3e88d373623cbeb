"""Who may be sent the aggregate reports of a domain (RFC 9990 section 4): an address elsewhere must want them."""

from __future__ import annotations

from mailgate.senderauth import dmarc, dmarc_record
from mailgate.senderauth.dmarc_record import DmarcRecord, RecordError, ReportTarget
from mailgate.senderauth.dns import Names, is_name, records

MOST_TARGETS = 5


async def verified(resolver: Names, domain: str, record: DmarcRecord) -> tuple[ReportTarget, ...]:
    """Of the targets that the record of `domain` names. LookupFailed where that can't be told now."""
    found: list[ReportTarget] = []
    for target in record.targets[:MOST_TARGETS]:
        if not is_name(_consent(domain, target)):
            continue
        if await dmarc.is_same_organization(resolver, domain, target.domain):
            found.append(target)
        else:
            found += await _elsewhere(resolver, domain, target)
    return tuple(dict.fromkeys(found))


async def _elsewhere(resolver: Names, domain: str, target: ReportTarget) -> tuple[ReportTarget, ...]:
    """The target's domain says by a record of its own whether it takes them; it may name other addresses of its own;
    one that names a third domain's gets nothing (section 4)."""
    answer = await records(resolver.txt(_consent(domain, target)))
    texts = [text for text in answer if dmarc_record.is_dmarc(text)]
    if not texts:
        return ()
    instead = _named(texts[0])
    if any(each.domain != target.domain for each in instead):
        return ()
    return instead or (target,)


def _consent(domain: str, target: ReportTarget) -> str:
    return f"{domain}._report._dmarc.{target.domain}"


def _named(text: str) -> tuple[ReportTarget, ...]:
    try:
        return dmarc_record.parse(text).targets
    except RecordError:  # v=DMARC1 alone is all that is asked for
        return ()
