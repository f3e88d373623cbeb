"""The steps of the evaluation: each looks at one thing and says what is to be done about it. Their order is in
`evaluate.PRECEDENCE`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Direction
from mailgate.model.sender import Sender
from mailgate.model.verdict import WHOLE_MESSAGE, PartReport, Unscanned, Verdict
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.exceptions import false_positives, families
from mailgate.policy.facts import Case
from mailgate.policy.schema import DefectAction, RuleDirection
from mailgate.policy.values import names_domain


def envelope(case: Case) -> Iterator[Decision]:
    policy, facts = case.policy, case.facts
    limits = policy.limits
    if facts.received_hops > limits.received_hops:
        reason = f"mail loop: {facts.received_hops} Received fields, at most {limits.received_hops} are taken"
        yield _decision(policy, Action.REJECT, "limits.received_hops", reason)
    if facts.size > limits.message_size:
        reason = f"the message has {facts.size} bytes, at most {limits.message_size} are taken"
        yield _decision(policy, Action.REJECT, "limits.message_size", reason)


def infected(case: Case) -> Iterator[Decision]:
    policy, parts = case.policy, case.facts.inspection.parts
    excepted = false_positives(parts, case.concerned.scanner_exemptions)
    for part in parts:
        use = excepted.get(part)
        if use is not None and use.place == part.place:
            reason = f"{_called(part)} is accepted by an exception from the scanner"
            yield Decision(Action.ACCEPT, use.rule, reason, policy.version, part.place, exceptions=(use,))
        elif use is None and part.verdict is Verdict.INFECTED:
            reason = f"the message is infected with {_shown(part.signature) or 'malware'}"
            yield _decision(policy, policy.infected, "scanning.infected", reason, part.place)


def suspicious(case: Case) -> Iterator[Decision]:
    """Exceptions from the scanner have been told of where `infected` was asked."""
    policy, parts = case.policy, case.facts.inspection.parts
    excepted = false_positives(parts, case.concerned.scanner_exemptions)
    for part in parts:
        if part.verdict is Verdict.SUSPICIOUS and part not in excepted:
            reason = f"{_called(part)} is suspicious: {_shown(part.signature)}"
            yield _decision(policy, policy.suspicious, "scanning.suspicious", reason, part.place)


def scanner_trouble(case: Case) -> Iterator[Decision]:
    policy, facts = case.policy, case.facts
    if not facts.inspection.is_transient:
        return
    if facts.direction is Direction.OUTBOUND and policy.scanner_down is Action.HOLD:
        yield _decision(policy, Action.HOLD, "scanning.scanner_down", "kept until the message can be scanned")
    else:
        yield _decision(
            policy, Action.DEFER, "scanning.scanner_down", "the message can't be scanned now, try again later"
        )


def unknown_sender(case: Case) -> Iterator[Decision]:
    policy, facts = case.policy, case.facts
    wanted = policy.authentication.dns_failure
    if facts.sender is not None and facts.sender.dmarc == "temperror" and wanted is Action.DEFER:
        yield _decision(
            policy, wanted, "authentication.dns_failure", "the sender can't be checked now, try again later"
        )


def sender(case: Case) -> Iterator[Decision]:
    policy, facts = case.policy, case.facts
    sender = facts.sender
    if sender is None:
        return
    if sender.problem:
        reason = f"the author can't be told: {_shown(sender.problem)}"
        yield _decision(policy, policy.authentication.malformed_from, "authentication.malformed_from", reason, code=550)
    elif sender.dmarc == "fail" and sender.asked_for != "none":
        key = f"dmarc_{sender.asked_for}"
        action, why = getattr(policy.authentication, key), f"mail from {sender.author} must pass DMARC"
        excuse = _excuse(policy, sender, facts.day)
        if excuse:
            action, why = Action.ACCEPT, f"{why}, but {excuse}"
        yield _decision(policy, action, f"authentication.{key}", why, code=550)


def _excuse(policy: EffectivePolicy, sender: Sender, today: datetime.date) -> str:
    """Why a fail of DMARC does not count here, if so."""
    for exception in policy.exceptions:
        if today <= exception.expires and names_domain(exception.domains, sender.author):
            return f"an exception until {exception.expires} says: {exception.reason}"
    for seal in sender.seals:
        if not names_domain(policy.authentication.trusted_sealers, seal.domain):
            break
        if seal.dmarc == "pass":
            return f"it did when it came to {seal.domain}"
    return ""


def unscanned(case: Case) -> Iterator[Decision]:
    policy, facts = case.policy, case.facts
    for part in facts.inspection.unscanned:
        key, action = _unscanned_action(case, part)
        reason = f"{_called(part, facts.inspection.parts)} can't be scanned ({_why_not(part)})"
        yield _decision(policy, action, key, reason, part.place)


def _unscanned_action(case: Case, part: PartReport) -> tuple[str, Action]:
    """What has a password leaves by a rule of its own: the other side's gateway looks at it as ours looks at theirs."""
    if part.reason is Unscanned.ENCRYPTED and case.concerned.way is RuleDirection.OUTBOUND:
        return "unscanned.encrypted_outbound", case.policy.unscanned.encrypted_outbound
    return case.policy.unscanned_action(part.reason)


def _why_not(part: PartReport) -> str:
    """For people: of a limit, which."""
    word = (part.reason or Unscanned.WORKER).value
    if part.reason is not Unscanned.LIMIT or not part.detail:
        return word
    return f"{word}: {_shown(part.detail)}"


def defects(case: Case) -> Iterator[Decision]:
    policy, facts = case.policy, case.facts
    for defect in facts.inspection.defects:
        key, action = policy.defect_action(defect.name)
        if action is not DefectAction.SCAN:
            reason = f"the message is malformed ({_shown(defect.name)})"
            yield _decision(policy, Action(action.value), key, reason, defect.place)


def attachments(case: Case) -> Iterator[Decision]:
    for family in families(case.facts.inspection.parts):
        for part in family:
            yield from _by_rules(case, part, family[0].digest)


def _by_rules(case: Case, part: PartReport, digest: str) -> Iterator[Decision]:
    """`digest` of the part, or of what holds it."""
    version = case.policy.version
    for rule in case.concerned.rules:
        if not rule.matches(part):
            continue
        if rule.action is Action.ACCEPT:
            yield Decision(rule.action, rule.label, f"{_called(part)} is accepted", version, part.place)
            return
        exemption = next((each for each in case.concerned.attachment_exemptions if each.covers(digest, rule)), None)
        if exemption is None:
            reason = rule.settings.reply or f"{_called(part)} is not accepted here"
            yield Decision(rule.action, rule.label, reason, version, part.place)
            return
        use = exemption.use(part, f"stopped by {rule.label}")
        reason = f"{_called(part)} is accepted by an exception"
        yield Decision(Action.ACCEPT, use.rule, reason, version, part.place, exceptions=(use,))


def _decision(
    policy: EffectivePolicy, action: Action, key: str, reason: str, place: str = "", code: int = 554
) -> Decision:
    return Decision(action, f"{policy.source(key)}: {key}", reason, policy.version, place, code)


def _called(part: PartReport, parts: Sequence[PartReport] = ()) -> str:
    """What has no name is called by the nearest of `parts` around it that has one."""
    if part.place in ("", WHOLE_MESSAGE):
        return "the message"
    if part.name:
        return f'the attachment "{_shown(part.name)}"'
    named = {each.place: each.name for each in parts if each.name}
    place = part.place
    while "/" in place:
        place = place.rpartition("/")[0]
        if place in named:
            return f'something in the attachment "{_shown(named[place])}"'
    return "an attachment without a name"


def _shown(text: str) -> str:
    """Of a text from the message what may stand in a reply line: printable ASCII, not too long."""
    return "".join(char if " " <= char <= "~" else "?" for char in text.replace('"', "'"))[:80]
