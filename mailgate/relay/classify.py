"""From what happened with a next hop to the outcome for each recipient. Pure."""

from __future__ import annotations

from mailgate.model.outcome import Outcome, State
from mailgate.model.reply import Reply
from mailgate.relay.transfer import Fault, FaultKind, Transfer

_ENHANCED = {
    FaultKind.NO_ADDRESS: "5.4.4",
    FaultKind.REFUSED_ADDRESS: "5.4.6",
    FaultKind.UNREACHABLE: "4.4.1",
    FaultKind.REFUSED: "4.4.1",
    FaultKind.TIMEOUT: "4.4.2",
    FaultKind.DROPPED: "4.4.2",
    FaultKind.GARBAGE: "4.5.0",
    FaultKind.BUSY: "4.4.5",
    FaultKind.GREETING: "4.3.2",
    FaultKind.TLS: "4.7.5",
    FaultKind.POLICY: "4.7.5",
    FaultKind.AUTH: "4.7.8",
    FaultKind.LOCAL: "4.3.0",
}
_TAKES_NO_MAIL = (521, 556)  # RFC 7504


def outcome_of(transfer: Transfer, recipient: int, host: str) -> Outcome:
    """The outcome for one recipient of a transaction. Its own refusal counts before anything that came later; a 2yz to
    RCPT alone is worth nothing."""
    mail, rcpt, end = transfer.mail, transfer.rcpt[recipient], transfer.end_for(recipient)
    if mail is not None and not _is_good(mail):
        return _refusal(mail, "MAIL FROM", host)
    if rcpt is not None and not _is_good(rcpt):
        if rcpt.code == 552:
            # too many recipients, say old servers (RFC 5321 section 4.5.3.1.10)
            return _answered(State.QUEUED, _said(host, rcpt, "RCPT TO"), rcpt, rcpt.enhanced or "4.5.3", host)
        return _refusal(rcpt, "RCPT TO", host)
    if end is not None:
        if _is_good(end) and rcpt is not None:
            text = f"{host} took it: {end}"
            return Outcome(State.RELAYED, text, end.code, end.enhanced, str(end), host, transfer.takes_dsn)
        return _refusal(end, "the message", host)
    fault = transfer.fault or Fault(FaultKind.GARBAGE, "DATA", "the dialogue ended without a reply to the message")
    return outcome_of_fault(fault, host, is_sent=transfer.is_sent)


def outcome_of_fault(fault: Fault, host: str, is_sent: bool = False) -> Outcome:
    """A fault is no answer: the mail waits, but where a host says in its greeting that it never takes any."""
    reply = fault.reply
    if fault.kind is FaultKind.GREETING and reply is not None and reply.code in _TAKES_NO_MAIL:
        return _answered(State.BOUNCED, _said(host, reply, fault.step), reply, reply.enhanced or "5.3.2", host)
    if fault.kind in (FaultKind.NO_ADDRESS, FaultKind.REFUSED_ADDRESS):
        return Outcome(State.BOUNCED, f"{host}: {fault.text}", 0, _ENHANCED[fault.kind])
    doubt = "; it may have taken the message all the same" if is_sent else ""
    text = f"{host}: {fault.text}{doubt}"
    if reply is None:
        return Outcome(State.QUEUED, text, 0, _ENHANCED[fault.kind])
    enhanced = reply.enhanced if reply.enhanced.startswith("4") else _ENHANCED[fault.kind]
    return _answered(State.QUEUED, text, reply, enhanced, host)


def _is_good(reply: Reply) -> bool:
    return 200 <= reply.code < 300


def _refusal(reply: Reply, step: str, host: str) -> Outcome:
    state = State.BOUNCED if reply.code >= 500 else State.QUEUED
    enhanced = reply.enhanced or ("5.0.0" if state is State.BOUNCED else "4.0.0")
    return _answered(state, _said(host, reply, step), reply, enhanced, host)


def _answered(state: State, text: str, reply: Reply, enhanced: str, host: str) -> Outcome:
    return Outcome(state, text, reply.code, enhanced, reply=str(reply), remote_mta=host)


def _said(host: str, reply: Reply, step: str) -> str:
    return f"{host} said: {reply} (in reply to {step})"


def is_trouble(transfer: Transfer) -> bool:
    """The host, not the message, was the reason: other mail would have fared no better."""
    return transfer.fault is not None or any(reply.code == 421 for reply in transfer.replies)
