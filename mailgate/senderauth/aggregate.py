"""From the findings of one message to what aggregate reports tell of it (RFC 9990 section 3.1). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mailgate.model.decision import Action
from mailgate.model.dmarc import Disposition, DkimSeen, PublishedPolicy, Seen
from mailgate.senderauth.dmarc import DmarcResult
from mailgate.senderauth.dmarc_record import DmarcPolicy
from mailgate.senderauth.findings import Findings
from mailgate.senderauth.outcome import Outcome

_DONE: dict[Action, Disposition] = {
    Action.REJECT: "reject",
    Action.QUARANTINE: "quarantine",
    Action.HOLD: "quarantine",
}


def seen(findings: Findings, action: Action) -> tuple[Seen, ...]:
    """One for each author whose domain wants reports and for whom there is a result. `action` was decided for the
    message, for whatever reason; DEFER means that it will come again and must not be counted."""
    return tuple(_seen(findings, each, action) for each in findings.dmarc if _is_wanted(each))


def _is_wanted(result: DmarcResult) -> bool:
    has_result = result.outcome in (Outcome.PASS, Outcome.FAIL)
    return has_result and result.record is not None and bool(result.record.targets)


def _seen(findings: Findings, result: DmarcResult, action: Action) -> Seen:
    disposition = _disposition(result, action)
    return Seen(
        policy=_published(result),
        source=findings.client_address,
        disposition=disposition,
        dkim=bool(result.dkim_aligned),
        spf=result.spf_aligned,
        header_from=result.domain,
        envelope_from=findings.reverse_path.rpartition("@")[2].lower(),
        override=_override(result, disposition),
        dkim_results=tuple(_signatures(findings)),
        spf_domain=findings.spf.domain,
        spf_result=findings.spf.outcome.value,
    )


def _disposition(result: DmarcResult, action: Action) -> Disposition:
    if result.outcome is Outcome.PASS:
        return "pass"
    if result.policy is DmarcPolicy.NONE:
        return "none"
    return _DONE.get(action, "none")


def _override(result: DmarcResult, disposition: Disposition) -> str:
    """RFC 9990 section 3.1.6."""
    if result.outcome is Outcome.PASS:
        return ""
    if disposition != result.policy.value:
        return "local_policy"
    is_test = result.record is not None and result.record.is_testing and result.record.policy is not DmarcPolicy.NONE
    return "policy_test_mode" if is_test else ""


def _published(result: DmarcResult) -> PublishedPolicy:
    record = result.record
    assert record is not None
    return PublishedPolicy(
        domain=result.record_domain,
        p=record.policy.value,
        sp=record.subdomains.value if record.subdomains is not None else "",
        np=record.nonexistent.value if record.nonexistent is not None else "",
        adkim="s" if record.is_dkim_strict else "r",
        aspf="s" if record.is_spf_strict else "r",
        is_testing=record.is_testing,
    )


def _signatures(findings: Findings) -> Iterator[DkimSeen]:
    """Those that pass first (section 3.1.3)."""
    for each in sorted(findings.dkim, key=lambda each: each.outcome is not Outcome.PASS):
        if each.signature is not None:
            yield DkimSeen(each.signature.domain, each.signature.selector, each.outcome.value)
