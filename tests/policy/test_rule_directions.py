"""The way of a message to each recipient, and rules that ask for it."""

from __future__ import annotations

from mailgate.model.decision import Action
from mailgate.model.envelope import Direction
from mailgate.policy.evaluate import evaluate_each
from mailgate.policy.schema import RuleDirection
from tests.policy.making import facts, part, policy

BOB, CAROL, DAVE = "bob@acme.example", "carol@elsewhere.example", "dave@Own.example"
OWN_SERVER = '[[inbound]]\ndomain = "own.example"\nserver = "mail.own.example:25"\n'
NOT_OUTSIDE = '[[attachments]]\nname = "stays here"\naction = "quarantine"\nclass = "macro"\ndirection = "outbound"\n'


def test_submitted_mail_is_internal_to_mailboxes_here_and_to_the_tenants_own_server() -> None:
    found = policy("", OWN_SERVER)
    message = facts(part(), direction=Direction.OUTBOUND, recipients=(BOB, CAROL, DAVE), hosted=frozenset({BOB}))
    assert [message.way_to(recipient, found) for recipient in message.recipients] == [
        RuleDirection.INTERNAL,
        RuleDirection.OUTBOUND,
        RuleDirection.INTERNAL,
    ]


def test_mail_from_outside_is_inbound_whoever_it_claims_to_be_from() -> None:
    message = facts(part(), reverse_path=BOB, recipients=(BOB,), hosted=frozenset({BOB}))
    assert message.way_to(BOB, policy()) is RuleDirection.INBOUND


def test_a_rule_for_outbound_mail_leaves_colleagues_alone() -> None:
    message = facts(
        part("plan.xlsm", classes=("macro",)),
        direction=Direction.OUTBOUND,
        recipients=(BOB, CAROL),
        hosted=frozenset({BOB}),
    )
    rulings = evaluate_each(policy("", NOT_OUTSIDE), message)
    assert {ruling.recipients: ruling.decision.action for ruling in rulings} == {
        (BOB,): Action.ACCEPT,
        (CAROL,): Action.QUARANTINE,
    }
