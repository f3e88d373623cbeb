"""Precedence of values: tenant, gateway, built in; and what of the gateway binds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.decision import Action
from mailgate.model.level import TransportLevel
from mailgate.model.verdict import Unscanned
from mailgate.policy.effective import loosened
from mailgate.policy.schema import (
    DefectAction,
    GatewayLimits,
    GatewayPolicy,
    Limits,
    TenantPolicy,
    Transport,
    built_in,
)
from mailgate.policy.snapshot import Snapshot
from tests.policy.making import SIZE_LIMIT, policy, snapshot

TENANT_LIMITS = sorted(Limits.model_fields)
COUNTS = st.integers(65_536, SIZE_LIMIT)


def test_built_in_values() -> None:
    found = policy()
    assert found.limits == GatewayLimits(message_size=SIZE_LIMIT)
    assert (found.infected, found.scanner_down) == (Action.REJECT, Action.DEFER)
    assert found.transport.minimum is TransportLevel.PLAINTEXT
    assert found.language == "en"
    assert found.rules == ()
    assert dict(found.defects) == {
        "message-partial": DefectAction.QUARANTINE,
        "external-body": DefectAction.QUARANTINE,
    }


@pytest.mark.parametrize(
    ("gateway", "tenant", "language", "source"),
    [
        ("", "", "en", "built-in"),
        ('language = "de"', "", "de", "gateway.toml"),
        ("", 'language = "de"', "de", "tenants/acme.toml"),
        ('language = "de"', 'language = "en"', "en", "tenants/acme.toml"),
    ],
)
def test_nearest_file_gives_the_value(gateway: str, tenant: str, language: str, source: str) -> None:
    found = policy(gateway, tenant)
    assert (found.language, found.source("language")) == (language, source)


def test_tenant_gives_single_keys_of_a_table() -> None:
    found = policy(
        '[unscanned]\nlimit = "reject"\nworker = "reject"\n[retention]\naudit_days = 7',
        '[unscanned]\nlimit = "quarantine"\n[retention]\ntimeline_days = 8',
    )
    assert found.unscanned.model_dump() == {
        "limit": "quarantine",
        "encrypted": "quarantine",
        "encrypted_outbound": "accept",
        "end_to_end_encrypted": "accept",
        "worker": "reject",
    }
    assert found.retention.model_dump() == {
        "quarantine_days": 30,
        "timeline_days": 8,
        "refusal_days": 14,
        "login_days": 90,
        "audit_days": 7,
    }
    assert found.source("unscanned.limit") == "tenants/acme.toml"
    assert found.source("unscanned.worker") == "gateway.toml"
    assert found.source("unscanned.encrypted") == "built-in"


def test_rules_of_the_tenant_come_first_and_are_numbered_by_file() -> None:
    rule = '[[attachments]]\nname = "{}"\naction = "accept"\nclass = "script"\n'
    found = policy(rule.format("g1") + rule.format("g2"), rule.format("t1"))
    assert [rule.label for rule in found.rules] == [
        'tenants/acme.toml: attachments[1] "t1"',
        'gateway.toml: attachments[1] "g1"',
        'gateway.toml: attachments[2] "g2"',
    ]


def test_defects_add_up() -> None:
    found = policy(
        '[defects]\nbom = "reject"\n"*" = "quarantine"', '[defects]\nbom = "scan"\nmessage-partial = "reject"'
    )
    assert found.defect_action("bom") == ("defects.bom", DefectAction.SCAN)
    assert found.defect_action("message-partial") == ("defects.message-partial", DefectAction.REJECT)
    assert found.defect_action("external-body") == ("defects.external-body", DefectAction.QUARANTINE)
    assert found.defect_action("bare-lf") == ("defects.*", DefectAction.QUARANTINE)
    assert policy().defect_action("bare-lf") == ("defects.*", DefectAction.SCAN)


@pytest.mark.parametrize("reason", [*Unscanned, None])
def test_every_reason_for_not_scanning_has_an_action(reason: Unscanned | None) -> None:
    key, action = policy('[unscanned]\nworker = "reject"').unscanned_action(reason)
    actions = {
        Unscanned.LIMIT: ("unscanned.limit", Action.QUARANTINE),
        Unscanned.ENCRYPTED: ("unscanned.encrypted", Action.QUARANTINE),
        Unscanned.END_TO_END_ENCRYPTED: ("unscanned.end_to_end_encrypted", Action.ACCEPT),
    }
    assert (key, action) == actions.get(reason or Unscanned.WORKER, ("unscanned.worker", Action.REJECT))


@pytest.mark.parametrize("wanted", TransportLevel)
@pytest.mark.parametrize("bound", TransportLevel)
def test_transport_minimum_is_the_stricter(bound: TransportLevel, wanted: TransportLevel) -> None:
    found = policy(f'[transport]\nminimum = "{bound.value}"', f'[transport]\nminimum = "{wanted.value}"')
    assert found.transport.minimum is max(bound, wanted)


def test_tenant_without_a_file_has_the_gateways_policy() -> None:
    published = snapshot('language = "de"', acme='language = "en"')
    assert published.for_tenant("unknown") is published.for_gateway
    assert published.for_gateway.language == "de"


def test_policy_of_a_tenant_is_made_once() -> None:
    published = snapshot("", acme='language = "de"')
    assert published.for_tenant("acme") is published.for_tenant("acme")


_LIMITS = st.dictionaries(st.sampled_from(TENANT_LIMITS), COUNTS)
_LEVELS = st.one_of(st.just({}), st.fixed_dictionaries({"minimum": st.sampled_from(TransportLevel)}))


@given(bound=_LIMITS, wanted=_LIMITS, floor=_LEVELS, asked=_LEVELS)
def test_tenant_never_loosens_the_gateway(
    bound: dict[str, int], wanted: dict[str, int], floor: dict[str, TransportLevel], asked: dict[str, TransportLevel]
) -> None:
    """Whatever a snapshot says; the schema's bounds are left out here to try more."""
    gateway = GatewayPolicy(limits=GatewayLimits.model_construct(None, **bound), transport=Transport(**floor))
    own = TenantPolicy(limits=Limits.model_construct(None, **wanted), transport=Transport(**asked))
    published = Snapshot(built_in=built_in(SIZE_LIMIT), gateway=gateway, tenants={"acme": own})
    ours, theirs = published.for_gateway, published.for_tenant("acme")
    for name in GatewayLimits.model_fields:
        assert getattr(theirs.limits, name) <= getattr(ours.limits, name)
        assert getattr(theirs.limits, name) == min(getattr(ours.limits, name), wanted.get(name, 1 << 60))
    assert theirs.transport.minimum == max(ours.transport.minimum, *asked.values(), ours.transport.minimum)
    is_looser = any(wanted[name] > getattr(ours.limits, name) for name in wanted)
    is_lower = any(level < ours.transport.minimum for level in asked.values())
    assert bool(list(loosened(ours, own))) == (is_looser or is_lower)
