"""A message's timeline in words: what came in, was found and decided, and what became of each recipient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mailgate.model.decision import Decision, ExceptionUse
from mailgate.model.envelope import Envelope
from mailgate.model.event import Event
from mailgate.model.verdict import Inspection

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One event: `at` in seconds since 1970, `text` for people, `facts` for programs."""

    at: float
    kind: str
    recipient: str
    text: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One message. `waiting` are the recipients that are not final yet, as (forward-path, state, reason)."""

    queue_id: str
    message_id: str
    tenant: str
    direction: str
    reverse_path: str
    recipients: tuple[str, ...]
    accepted: bool
    size: int | None
    events: tuple[Line, ...]
    waiting: tuple[tuple[str, str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        plain["waiting"] = [
            {"recipient": path, "state": state, "reason": reason} for path, state, reason in self.waiting
        ]
        return plain


def timeline(
    envelope: Envelope,
    events: Sequence[Event],
    *,
    accepted: bool,
    size: int | None = None,
    decision: Decision | None = None,
    inspection: Inspection | None = None,
    waiting: Sequence[tuple[str, str, str]] = (),
) -> Timeline:
    """`inspection` and `decision` become lines of their own where `events` has none of that kind."""
    return Timeline(
        queue_id=envelope.queue_id,
        message_id=envelope.message_id,
        tenant=envelope.tenant,
        direction=envelope.direction,
        reverse_path=envelope.reverse_path,
        recipients=tuple(recipient.forward_path for recipient in envelope.recipients),
        accepted=accepted,
        size=size,
        events=tuple(map(_line, _completed(events, inspection, decision, envelope.received_at))),
        waiting=tuple(waiting),
    )


def _completed(
    events: Sequence[Event], inspection: Inspection | None, decision: Decision | None, received_at: float
) -> list[Event]:
    """What was found stands before what was decided, and that before all that followed from it. A message that waits
    may be inspected again later: that line is one of those which followed."""
    kinds = [event.kind for event in events]
    kinds = kinds[: kinds.index("committed") + 1] if "committed" in kinds else kinds
    listed = list(events)
    at = (
        kinds.index("decided")
        if "decided" in kinds
        else kinds.index("committed")
        if "committed" in kinds
        else len(kinds)
    )
    moment = events[at].at if at < len(events) else received_at
    if decision is not None and "decided" not in kinds:
        listed.insert(at, Event(moment, "decided", decision_facts(decision)))
    if inspection is not None and "inspected" not in kinds:
        listed.insert(at, Event(moment, "inspected", inspection_facts(inspection)))
    return listed


def decision_facts(decision: Decision) -> dict[str, Any]:
    return {
        "action": str(decision.action),
        "rule": decision.rule,
        "reason": decision.reason,
        "policy": decision.policy_version,
        "place": decision.place,
        "exceptions": msgspec.to_builtins(decision.exceptions),
    }


def inspection_facts(inspection: Inspection) -> dict[str, Any]:
    """The verdict, and the ledger of all parts with what was found in each."""
    return {
        "verdict": str(inspection.verdict),
        "signature": inspection.signature,
        **msgspec.to_builtins(inspection),
    }


def _line(event: Event) -> Line:
    say = _WORDS.get(event.kind, _plainly)
    return Line(event.at, event.kind, event.recipient, say(event.facts), dict(event.facts))


def _plainly(facts: Facts) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value not in ("", None, (), [], {}))


def _received(facts: Facts) -> str:
    tls = f", {facts['tls']}" if facts.get("tls") else ", without TLS"
    wish = ", REQUIRETLS" if facts.get("requiretls") else ""
    let_in = f", let in by {facts['let_in_by']}" if facts.get("let_in_by") else ""
    return (
        f"{facts.get('size', '?')} bytes from {facts.get('client', '?')} ({facts.get('helo', '?')}){tls}{wish}{let_in}"
    )


def _inspected(facts: Facts) -> str:
    parts: Sequence[Facts] = facts.get("parts", ())
    found = [
        f"{part['place']} {part['verdict']}"
        + (f" ({part.get('signature') or part.get('reason')})" if part["verdict"] != "clean" else "")
        for part in parts
        if part["verdict"] != "clean"
    ]
    detail = f": {'; '.join(found)}" if found else ""
    signatures = f", signatures {facts['signatures']}" if facts.get("signatures") else ""
    return f"{facts.get('verdict', '?')}, {len(parts)} parts{detail}{signatures}"


def _authenticated(facts: Facts) -> str:
    """`SPF pass; DKIM pass acme.example; DMARC fail bank.example asks for reject`."""
    said = [
        f"{title} {'; '.join(found) if isinstance(found, list | tuple) else found}"
        for name, title in _CHECKS
        if (found := facts.get(name))
    ]
    if facts.get("spf_reason"):
        said.append(f"SPF says: {facts['spf_reason']}")
    if facts.get("forged_results_removed"):
        said.append(f"results forged in our name taken out: {facts['forged_results_removed']}")
    return "; ".join(said)


_CHECKS = (("spf", "SPF"), ("dkim", "DKIM"), ("dmarc", "DMARC"), ("arc", "ARC"), ("iprev", "iprev"), ("from", "From:"))


def _decided(facts: Facts) -> str:
    reason = f": {facts['reason']}" if facts.get("reason") else ""
    policy = facts.get("policy") or facts.get("policy_version") or "?"
    excepted = "".join(f"; at {use['place']} {_excepted(use)}" for use in facts.get("exceptions", ()))
    return f"{facts.get('action', '?')}{reason} (rule {facts.get('rule', '?')}, policy {policy}){excepted}"


def _excepted(use: Facts) -> str:
    return str(msgspec.convert(use, ExceptionUse))


def _committed(facts: Facts) -> str:
    return (
        f"kept as {facts.get('state', '?')}: {facts.get('size', '?')} bytes, {facts.get('recipients', '?')} recipients"
    )


def _refused(facts: Facts) -> str:
    cause = f" ({facts['cause']})" if facts.get("cause") else ""
    return f"{facts.get('reply', '')}{cause}"


def _attempted(facts: Facts) -> str:
    """Lines of attempts and their ends; a message deferred in the dialogue has a reply and no attempt."""
    if "attempt" not in facts:
        return _refused(facts) if "reply" in facts else _moved(facts)
    reply = f" ({facts['reply']})" if facts.get("reply") else ""
    more = f"{_transport(facts)}{_recoded(facts)}{_forwarded(facts)}"
    return f"attempt {facts['attempt']}: {facts.get('text', '')}{reply}{more}"


def _recoded(facts: Facts) -> str:
    how = {
        "7-bit": "converted to 7-bit, since the host takes no 8-bit mail",
        "short lines": "lines above 998 characters encoded or folded",
    }.get(str(facts.get("recoded")), "")
    return f"; {how}" if how else ""


def _forwarded(facts: Facts) -> str:
    if not facts.get("forwarded_by"):
        return ""
    sender = f" as <{facts['reverse_path']}>" if "reverse_path" in facts else ""
    seal = {"yes": ", sealed", "no": ", not sealed"}.get(str(facts.get("sealed")), "")
    return f"; forwarded by {facts['forwarded_by']}{sender}{seal}"


def _not_forwarded(facts: Facts) -> str:
    return f"not again by {', '.join(facts.get('forwarders', ()))}: the message has been there before"


def _transport(facts: Facts) -> str:
    """`; forward-secret, TLSv1.3 TLS_AES_256_GCM_SHA384`, and what kept it from being better."""
    if not facts.get("level"):
        return ""
    agreed = f", {facts['tls']} {facts.get('cipher', '')}" if facts.get("tls") else ""
    steps = f"; not better since {'; '.join(facts['steps_down'])}" if facts.get("steps_down") else ""
    return f"; {facts['level']}{agreed}{steps}"


def _moved(facts: Facts) -> str:
    reason = f": {facts['reason']}" if facts.get("reason") else ""
    return f"by {facts.get('by', '?')}{reason} (was {facts.get('before', '?')})"


def _notified(facts: Facts) -> str:
    """What the sender was told, or why it could not be told."""
    if "dropped" in facts:
        return f"the sender can't be told: {facts['dropped']}"
    paths = ", ".join(facts.get("recipients", ()))
    return f"the sender is told by {facts.get('notice', '?')}: {facts.get('about', '?')} for {paths}"


def _handed(facts: Facts) -> str:
    return f"handed to the administrators by {facts.get('by', '?')}"


def _told(facts: Facts) -> str:
    return f"the recipient is told of it by {facts.get('notice', '?')}"


def _reported(facts: Facts) -> str:
    """What a message to the address for reports held."""
    said = [f"report {each}" for each in facts.get("reports", ())]
    if facts.get("skipped"):
        said.append(f"{facts['skipped']} of its records could not be read")
    if facts.get("problem"):
        said.append(f"no report was read: {facts['problem']}")
    return "; ".join(said)


def _composed(facts: Facts) -> str:
    if "report" in facts:
        return f"an aggregate report ({facts['report']}) about {facts.get('about', '?')}"
    if "messages" in facts:
        return f"a notice to the recipient of {facts['messages']} messages in quarantine"
    return f"a notice to the sender of {facts.get('about', '?')}: {facts.get('notice', '?')}"


_WORDS: Mapping[str, Callable[[Facts], str]] = {
    "received": _received,
    "authenticated": _authenticated,
    "inspected": _inspected,
    "decided": _decided,
    "committed": _committed,
    "refused": _refused,
    "deferred": _attempted,
    "delivered": _attempted,
    "relayed": _attempted,
    "bounced": _attempted,
    "expired": _attempted,
    "retry": _moved,
    "held": _moved,
    "quarantined": _attempted,
    "released": _moved,
    "deleted": _moved,
    "notified": _notified,
    "told": _told,
    "handed": _handed,
    "composed": _composed,
    "not_forwarded": _not_forwarded,
    "reported": _reported,
}
