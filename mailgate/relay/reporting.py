"""Counts what became of TLS with each host, for the domains' TLS reports (RFC 8460)."""

from __future__ import annotations

from mailgate.relay.opening import OpenError, Target
from mailgate.relay.planning import Plan
from mailgate.relay.smtp_session import Facts
from mailgate.relay.transfer import FaultKind
from mailgate.transport.ladder import Failure
from mailgate.transport.report_store import ReportStore
from mailgate.transport.tlsrpt import AppliedPolicy, FailureDetail, ResultType

_TLS_FAULTS = (FaultKind.TLS, FaultKind.POLICY)


class Reporting:
    def __init__(self, reports: ReportStore) -> None:
        self._reports = reports

    def opened(self, plan: Plan, target: Target, facts: Facts, error: OpenError | None) -> None:
        """One session, or one that failed for a reason of TLS; smarthosts are nobody's policy, and reports are not
        reported on."""
        if plan.way.smarthost is not None or plan.wishes.is_tls_report:
            return
        if error is not None and error.fault.kind not in _TLS_FAULTS:
            return
        policy = _policy(plan, target)
        self._reports.add(policy, _failure(target, facts, error))


def _policy(plan: Plan, target: Target) -> AppliedPolicy:
    """DANE goes before MTA-STS."""
    if target.dane is not None:
        strings = tuple(f"{r.usage} {r.selector} {r.matching} {r.data.hex()}" for r in target.dane.records)
        return AppliedPolicy("tlsa", target.dane.base, strings, (target.host,))
    if plan.sts is not None:
        lines = tuple(line.strip() for line in plan.sts.text.splitlines() if line.strip())
        return AppliedPolicy("sts", plan.destination, lines, plan.sts.mx)
    return AppliedPolicy("no-policy-found", plan.destination)


def _failure(target: Target, facts: Facts, error: OpenError | None) -> FailureDetail | None:
    """Failures that the ladder got over count too: what the policy asked for did not come about."""
    failure = error.failure if error is not None else facts.lost_to
    if failure is None:
        return None
    reason = error.fault.text if error is not None else "; ".join(facts.values["steps_down"])
    return FailureDetail(_result(target, failure, reason), "", target.host, facts.address, reason[:200])


def _result(target: Target, failure: Failure, reason: str) -> ResultType:
    if failure in (Failure.NOT_OFFERED, Failure.REFUSED):
        return ResultType.STARTTLS_NOT_SUPPORTED
    if failure is Failure.CERTIFICATE:
        lowered = reason.lower()
        if "expired" in lowered:
            return ResultType.CERTIFICATE_EXPIRED
        if "hostname mismatch" in lowered or "not valid for" in lowered or "certificate is for" in lowered:
            return ResultType.CERTIFICATE_HOST_MISMATCH
        return ResultType.VALIDATION_FAILURE if target.dane is not None else ResultType.CERTIFICATE_NOT_TRUSTED
    return ResultType.VALIDATION_FAILURE
