"""What is known of a message when it is judged, and what of a policy concerns it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from mailgate.model.envelope import Direction
from mailgate.model.sender import Sender
from mailgate.model.verdict import Inspection
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.exceptions import AttachmentExemption, ScannerExemption
from mailgate.policy.rules import Rule
from mailgate.policy.schema import RuleDirection


@dataclass(frozen=True, slots=True)
class Facts:
    """`size` in bytes as received; `received_hops`: Received fields in the header; `recipients`: forward-paths, one
    at least; `hosted` those of them that have mailboxes here; `sender` is None where nobody checked it; `at` in seconds
    since 1970."""

    direction: Direction
    reverse_path: str
    recipients: tuple[str, ...]
    size: int
    inspection: Inspection
    at: float
    received_hops: int = 0
    sender: Sender | None = None
    hosted: frozenset[str] = frozenset()

    @property
    def day(self) -> datetime.date:
        """In UTC."""
        return datetime.datetime.fromtimestamp(self.at, datetime.UTC).date()

    def way_to(self, recipient: str, policy: EffectivePolicy) -> RuleDirection:
        """INTERNAL where a user of the tenant writes to one of its own: with a mailbox here, or on its own server."""
        if self.direction is Direction.INBOUND:
            return RuleDirection.INBOUND
        is_hosted = recipient in self.hosted or policy.inbound_route(recipient.rpartition("@")[2].lower()) is not None
        return RuleDirection.INTERNAL if is_hosted else RuleDirection.OUTBOUND


@dataclass(frozen=True, slots=True)
class Concerned:
    """Of the rules and exceptions of a policy those that concern a message to some recipient, in their order, and its
    way; None before there is one recipient."""

    rules: tuple[Rule, ...]
    attachment_exemptions: tuple[AttachmentExemption, ...]
    scanner_exemptions: tuple[ScannerExemption, ...]
    way: RuleDirection | None = None

    def to(self, recipient: str, way: RuleDirection) -> Concerned:
        """Those that concern this recipient too."""
        return Concerned(
            tuple(rule for rule in self.rules if rule.is_meant_for(way) and rule.concerns(recipient)),
            tuple(each for each in self.attachment_exemptions if each.concerns(recipient)),
            tuple(each for each in self.scanner_exemptions if each.concerns(recipient)),
            way,
        )


def concerned(policy: EffectivePolicy, facts: Facts) -> Concerned:
    """By the sender and the day; recipients apart."""
    return Concerned(
        tuple(rule for rule in policy.rules if rule.is_from(facts.reverse_path)),
        tuple(each for each in policy.attachment_exemptions if each.holds(facts.reverse_path, facts.day)),
        tuple(each for each in policy.scanner_exemptions if each.holds(facts.reverse_path, facts.day)),
    )


@dataclass(frozen=True, slots=True)
class Case:
    """What the steps of the evaluation look at."""

    policy: EffectivePolicy
    facts: Facts
    concerned: Concerned
