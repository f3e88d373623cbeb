"""From what is known of a message to what is done with it. Pure: the same policy and facts give the same decision.

`PRECEDENCE` is the one place that says what goes before what; the reference is made from it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Direction
from mailgate.model.sender import Sender
from mailgate.model.verdict import Inspection, PartReport, Verdict
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.rules import Rule
from mailgate.policy.schema import DefectAction
from mailgate.policy.values import names_domain

_SEVERITY = (Action.ACCEPT, Action.QUARANTINE, Action.REJECT)
_WHOLE_MESSAGE = "raw"


@dataclass(frozen=True, slots=True)
class Facts:
    """`size` in bytes as received; `received_hops`: Received fields in the header; `recipients`: forward-paths, one
    at least; `sender` is None where nobody checked it; `at` in seconds since 1970."""

    direction: Direction
    reverse_path: str
    recipients: tuple[str, ...]
    size: int
    inspection: Inspection
    received_hops: int = 0
    sender: Sender | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision for those recipients of a message that are treated alike."""

    recipients: tuple[str, ...]
    decision: Decision


_Judge = Callable[[EffectivePolicy, Facts, tuple[Rule, ...]], Iterator[Decision]]


@dataclass(frozen=True, slots=True)
class Step:
    """`text` is for the reference. Of a final step the first finding decides, and nothing after it counts."""

    text: str
    judge: _Judge
    is_final: bool


def _envelope(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    limits = policy.limits
    if facts.received_hops > limits.received_hops:
        reason = f"mail loop: {facts.received_hops} Received fields, at most {limits.received_hops} are taken"
        yield _decision(policy, Action.REJECT, "limits.received_hops", reason)
    if facts.size > limits.message_size:
        reason = f"the message has {facts.size} bytes, at most {limits.message_size} are taken"
        yield _decision(policy, Action.REJECT, "limits.message_size", reason)


def _infected(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    for part in facts.inspection.parts:
        if part.verdict is Verdict.INFECTED:
            reason = f"the message is infected with {_shown(part.signature) or 'malware'}"
            yield _decision(policy, policy.infected, "scanning.infected", reason, part.place)


def _scanner_trouble(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    if not facts.inspection.is_transient:
        return
    if facts.direction is Direction.OUTBOUND and policy.scanner_down is Action.HOLD:
        yield _decision(policy, Action.HOLD, "scanning.scanner_down", "kept until the message can be scanned")
    else:
        yield _decision(
            policy, Action.DEFER, "scanning.scanner_down", "the message can't be scanned now, try again later"
        )


def _unknown_sender(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    wanted = policy.authentication.dns_failure
    if facts.sender is not None and facts.sender.dmarc == "temperror" and wanted is Action.DEFER:
        yield _decision(
            policy, wanted, "authentication.dns_failure", "the sender can't be checked now, try again later"
        )


def _sender(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    sender = facts.sender
    if sender is None:
        return
    if sender.problem:
        reason = f"the author can't be told: {_shown(sender.problem)}"
        yield _decision(policy, policy.authentication.malformed_from, "authentication.malformed_from", reason, code=550)
    elif sender.dmarc == "fail" and sender.asked_for != "none":
        key = f"dmarc_{sender.asked_for}"
        action, why = getattr(policy.authentication, key), f"mail from {sender.author} must pass DMARC"
        excuse = _excuse(policy, sender, facts.at)
        if excuse:
            action, why = Action.ACCEPT, f"{why}, but {excuse}"
        yield _decision(policy, action, f"authentication.{key}", why, code=550)


def _excuse(policy: EffectivePolicy, sender: Sender, at: float) -> str:
    """Why a fail of DMARC does not count here, if so."""
    today = datetime.datetime.fromtimestamp(at, datetime.UTC).date()
    for exception in policy.exceptions:
        if today <= exception.expires and names_domain(exception.domains, sender.author):
            return f"an exception until {exception.expires} says: {exception.reason}"
    for seal in sender.seals:
        if not names_domain(policy.authentication.trusted_sealers, seal.domain):
            break
        if seal.dmarc == "pass":
            return f"it did when it came to {seal.domain}"
    return ""


def _unscanned(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    for part in facts.inspection.unscanned:
        key, action = policy.unscanned_action(part.reason)
        reason = f"{_called(part)} can't be scanned ({key.partition('.')[2]})"
        yield _decision(policy, action, key, reason, part.place)


def _defects(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    for defect in facts.inspection.defects:
        key, action = policy.defect_action(defect.name)
        if action is not DefectAction.SCAN:
            reason = f"the message is malformed ({_shown(defect.name)})"
            yield _decision(policy, Action(action.value), key, reason, defect.place)


def _attachments(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Iterator[Decision]:
    for part in filter(is_attachment, facts.inspection.parts):
        rule = next((rule for rule in rules if rule.matches(part)), None)
        if rule is None:
            continue
        reason = rule.settings.reply or f"{_called(part)} is not accepted here"
        if rule.action is Action.ACCEPT:
            reason = f"{_called(part)} is accepted"
        yield Decision(rule.action, rule.label, reason, policy.version, part.place)


PRECEDENCE = (
    Step(
        "A message above `limits.message_size`, or with more Received fields than `limits.received_hops`, is rejected.",
        _envelope,
        is_final=True,
    ),
    Step("A message with an infected part is treated as `scanning.infected` says.", _infected, is_final=True),
    Step(
        "While the scanner can't answer, mail is deferred; submissions are treated as `scanning.scanner_down` says.",
        _scanner_trouble,
        is_final=True,
    ),
    Step(
        "Mail from outside whose author can't be checked now is treated as `authentication.dns_failure` says.",
        _unknown_sender,
        is_final=True,
    ),
    Step(
        "Mail from outside that fails DMARC, or names its author so that DMARC can't be applied, is treated as "
        "`authentication` says, `exceptions` and trusted sealers apart.",
        _sender,
        is_final=False,
    ),
    Step("Each part that could not be scanned is treated as `unscanned` says.", _unscanned, is_final=False),
    Step("Each defect of the message is treated as `defects` says.", _defects, is_final=False),
    Step(
        "For each attachment the rules are tried in order, the tenant's first, then the gateway's; the first that "
        "matches acts, and no other rule is tried for this attachment.",
        _attachments,
        is_final=False,
    ),
)


def is_attachment(part: PartReport) -> bool:
    """What attachment rules look at: all but text without a name, which is shown as the message's body. The whole
    message counts only for what the scanner found in it and no part accounts for."""
    if part.place == _WHOLE_MESSAGE:
        return part.encrypted or bool(part.classes)
    return part.is_attachment or bool(part.name) or not part.detected_type.startswith("text/")


def evaluate(policy: EffectivePolicy, facts: Facts) -> Decision:
    """One decision for the whole message: the one that all recipients share, or else quarantine, so that nobody gets
    what a rule withholds. `evaluate_each` keeps recipients apart."""
    decisions = [ruling.decision for ruling in evaluate_each(policy, facts)]
    return max(decisions, key=lambda decision: decision.action is not Action.ACCEPT)


def evaluate_each(policy: EffectivePolicy, facts: Facts) -> tuple[Ruling, ...]:
    """A ruling for each group of recipients that the rules treat alike (mostly one), made fit for one reply."""
    applicable = tuple(rule for rule in policy.rules if rule.applies(facts.direction, facts.reverse_path))
    groups: dict[tuple[Rule, ...], list[str]] = {}
    for recipient in facts.recipients:
        groups.setdefault(tuple(rule for rule in applicable if rule.concerns(recipient)), []).append(recipient)
    rulings = [Ruling(tuple(group), _judge(policy, facts, rules)) for rules, group in groups.items()]
    return one_reply(rulings)


def one_reply(rulings: list[Ruling]) -> tuple[Ruling, ...]:
    """There is one reply for all recipients (promise 7): any defer defers all; where all reject, it is a rejection;
    otherwise the message is taken, and quarantined for those who would have rejected it. Also for several tenants."""
    deferred = next((ruling.decision for ruling in rulings if ruling.decision.action is Action.DEFER), None)
    if deferred is not None:
        return tuple(Ruling(ruling.recipients, deferred) for ruling in rulings)
    if all(ruling.decision.action is Action.REJECT for ruling in rulings):
        return tuple(rulings)
    return tuple(Ruling(ruling.recipients, _withheld(ruling.decision)) for ruling in rulings)


def _judge(policy: EffectivePolicy, facts: Facts, rules: tuple[Rule, ...]) -> Decision:
    weighed: list[Decision] = []
    for step in PRECEDENCE:
        for decision in step.judge(policy, facts, rules):
            if step.is_final:
                return decision
            weighed.append(decision)
    clean = Decision(Action.ACCEPT, "built-in: clean", "every part was scanned and is clean", policy.version)
    return max(weighed, key=lambda decision: _SEVERITY.index(decision.action), default=clean)


def _withheld(decision: Decision) -> Decision:
    if decision.action is not Action.REJECT:
        return decision
    return Decision(Action.QUARANTINE, decision.rule, decision.reason, decision.policy_version, decision.place)


def _decision(
    policy: EffectivePolicy, action: Action, key: str, reason: str, place: str = "", code: int = 554
) -> Decision:
    return Decision(action, f"{policy.source(key)}: {key}", reason, policy.version, place, code)


def _called(part: PartReport) -> str:
    if part.place == _WHOLE_MESSAGE:
        return "the message"
    return f'the attachment "{_shown(part.name)}"' if part.name else "an attachment without a name"


def _shown(text: str) -> str:
    """Of a text from the message what may stand in a reply line: printable ASCII, not too long."""
    return "".join(char if " " <= char <= "~" else "?" for char in text.replace('"', "'"))[:80]
