"""From what is known of a message to what is done with it. Pure: the same policy and facts give the same decision.

`PRECEDENCE` is the one place that says what goes before what; the reference is made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mailgate.model.decision import Action, Decision
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.facts import Case, Concerned, Facts, concerned
from mailgate.policy.judges import (
    attachments,
    defects,
    envelope,
    infected,
    scanner_trouble,
    sender,
    suspicious,
    unknown_sender,
    unscanned,
)
from mailgate.policy.schema import RuleDirection

_SEVERITY = (Action.ACCEPT, Action.QUARANTINE, Action.REJECT)


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision for those recipients of a message that are treated alike."""

    recipients: tuple[str, ...]
    decision: Decision


@dataclass(frozen=True, slots=True)
class Step:
    """`text` is for the reference. Of a final step the first finding decides, and nothing after it counts; but that
    something is to be accepted is only weighed: it makes no other step superfluous."""

    text: str
    judge: Callable[[Case], Iterator[Decision]]
    is_final: bool


PRECEDENCE = (
    Step(
        "A message above `limits.message_size`, or with more Received fields than `limits.received_hops`, is rejected.",
        envelope,
        is_final=True,
    ),
    Step(
        "A message with an infected part is treated as `scanning.infected` says, `scanner_exceptions` apart.",
        infected,
        is_final=True,
    ),
    Step(
        "While the scanner can't answer, mail is deferred; submissions are treated as `scanning.scanner_down` says.",
        scanner_trouble,
        is_final=True,
    ),
    Step(
        "Mail from outside whose author can't be checked now is treated as `authentication.dns_failure` says.",
        unknown_sender,
        is_final=True,
    ),
    Step(
        "Mail from outside that fails DMARC, or names its author so that DMARC can't be applied, is treated as "
        "`authentication` says, `exceptions` and trusted sealers apart.",
        sender,
        is_final=False,
    ),
    Step(
        "Each part that the scanner suspects is treated as `scanning.suspicious` says, `scanner_exceptions` apart.",
        suspicious,
        is_final=False,
    ),
    Step("Each part that could not be scanned is treated as `unscanned` says.", unscanned, is_final=False),
    Step("Each defect of the message is treated as `defects` says.", defects, is_final=False),
    Step(
        "For each attachment the rules are tried in order, the tenant's first, then the gateway's; the first that "
        "matches acts, and no other rule is tried for this attachment. A rule from which one of "
        "`attachment_exceptions` excepts it is passed over.",
        attachments,
        is_final=False,
    ),
)


def evaluate(policy: EffectivePolicy, facts: Facts) -> Decision:
    """One decision for the whole message: the one that all recipients share, or else quarantine, so that nobody gets
    what a rule withholds. `evaluate_each` keeps recipients apart."""
    decisions = [ruling.decision for ruling in evaluate_each(policy, facts)]
    return max(decisions, key=lambda decision: decision.action is not Action.ACCEPT)


def evaluate_each(policy: EffectivePolicy, facts: Facts) -> tuple[Ruling, ...]:
    """A ruling for each group of recipients that the rules treat alike (mostly one), made fit for one reply."""
    by_sender = concerned(policy, facts)
    groups: dict[Concerned, list[str]] = {}
    for recipient in facts.recipients:
        groups.setdefault(by_sender.to(recipient, facts.way_to(recipient, policy)), []).append(recipient)
    alike: dict[Decision, list[str]] = {}
    for these, group in groups.items():
        alike.setdefault(_judge(Case(policy, facts, these)), []).extend(group)
    return one_reply([Ruling(tuple(group), decision) for decision, group in alike.items()])


def findings(policy: EffectivePolicy, facts: Facts) -> tuple[Decision, ...]:
    """All that the steps have to say about the first recipient, in order of precedence: to explain a decision, and what
    would decide without it."""
    recipient = facts.recipients[0]
    case = Case(policy, facts, concerned(policy, facts).to(recipient, facts.way_to(recipient, policy)))
    return tuple(decision for step in PRECEDENCE for decision in step.judge(case))


def one_reply(rulings: list[Ruling]) -> tuple[Ruling, ...]:
    """There is one reply for all recipients (promise 7): any defer defers all; where all reject, it is a rejection;
    otherwise the message is taken, and quarantined for those who would have rejected it. Also for several tenants."""
    deferred = next((ruling.decision for ruling in rulings if ruling.decision.action is Action.DEFER), None)
    if deferred is not None:
        return tuple(Ruling(ruling.recipients, deferred) for ruling in rulings)
    if all(ruling.decision.action is Action.REJECT for ruling in rulings):
        return tuple(rulings)
    return tuple(Ruling(ruling.recipients, _withheld(ruling.decision)) for ruling in rulings)


def _judge(case: Case) -> Decision:
    weighed: list[Decision] = []
    for step in PRECEDENCE:
        for decision in step.judge(case):
            if step.is_final and decision.action is not Action.ACCEPT:
                return _with_exceptions(_told_at_once(case, decision), weighed)
            weighed.append(decision)
    clean = Decision(Action.ACCEPT, "built-in: clean", "every part was scanned and is clean", case.policy.version)
    decision = max(weighed, key=lambda each: _SEVERITY.index(each.action), default=clean)
    return _with_exceptions(_told_at_once(case, decision), weighed)


def _told_at_once(case: Case, decision: Decision) -> Decision:
    """Of mail that leaves the sender is still there to hear why, and nobody here waits for it: what would be held
    is refused, where the policy says so."""
    is_leaving = case.concerned.way is RuleDirection.OUTBOUND
    if decision.action is Action.QUARANTINE and is_leaving and case.policy.submission.withheld == "refuse":
        return replace(decision, action=Action.REJECT)
    return decision


def _with_exceptions(decision: Decision, weighed: list[Decision]) -> Decision:
    uses = tuple([use for each in weighed for use in each.exceptions])
    return replace(decision, exceptions=uses) if uses else decision


def _withheld(decision: Decision) -> Decision:
    return replace(decision, action=Action.QUARANTINE) if decision.action is Action.REJECT else decision
