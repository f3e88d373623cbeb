"""What recipients may release of their own mail in quarantine. Pure: asked before it is offered, and again when it is
done."""

from __future__ import annotations

from dataclasses import replace

from mailgate.model.decision import ENCRYPTED_KEYS, Action, Decision
from mailgate.model.envelope import Envelope
from mailgate.model.verdict import Inspection, Verdict
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.evaluate import evaluate_each
from mailgate.policy.facts import Facts


def may_release(policy: EffectivePolicy, decision: Decision | None) -> bool:
    """By what it is held for, and what the policy lets recipients do."""
    is_encrypted = decision is not None and decision.key in ENCRYPTED_KEYS
    return is_encrypted and "encrypted" in policy.quarantine.recipients_release


def is_only_encrypted(
    policy: EffectivePolicy, envelope: Envelope, forward_path: str, inspection: Inspection, now: float
) -> bool:
    """Would the policy in force deliver it to this mailbox if encryption did not matter? Size, hops and sender were
    judged when it came in, and are not what it was held for."""
    if inspection.verdict is Verdict.INFECTED:
        return False
    lenient_keys = dict.fromkeys(("encrypted", "end_to_end_encrypted"), Action.ACCEPT)
    lenient = replace(policy, unscanned=policy.unscanned.model_copy(update=lenient_keys))
    facts = Facts(
        direction=envelope.direction,
        reverse_path=envelope.reverse_path,
        recipients=(forward_path,),
        size=0,
        inspection=inspection,
        at=now,
        hosted=frozenset({forward_path}),
    )
    return all(ruling.decision.action is Action.ACCEPT for ruling in evaluate_each(lenient, facts))
