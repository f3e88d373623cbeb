"""The way that the policy sends mail, and what it demands."""

from __future__ import annotations

from typing import Any

import pytest

from mailgate.model.level import TransportLevel
from mailgate.policy.schema import GatewayPolicy, TenantPolicy, built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.relay.routing import Smarthost, Way, way
from mailgate.transport.floor import highest


def way_of(destination: str, gateway: dict[str, Any], own: dict[str, Any] | None = None) -> Way:
    tenants = {} if own is None else {"acme": TenantPolicy.model_validate(own)}
    snapshot = Snapshot(built_in=built_in(10**7), gateway=GatewayPolicy.model_validate(gateway), tenants=tenants)
    return way(snapshot.for_tenant("acme"), destination)


def test_without_routes_dns_counts() -> None:
    found = way_of("hop.example", {})
    assert (found.smarthost, found.allows_private, found.lane) == (None, False, "hop.example")
    assert highest(found.demands).level is TransportLevel.PLAINTEXT


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("hop.example", True),
        ("*.example", True),
        ("*", True),
        ("*.hop.example", False),
        ("op.example", False),
        ("other.example", False),
    ],
)
def test_patterns(pattern: str, fits: bool) -> None:
    found = way_of("hop.example", {"routes": [{"domain": pattern, "smarthost": "relay.example:587"}]})
    assert (found.smarthost == Smarthost("relay.example", 587)) is fits


def test_the_tenants_routes_go_first_and_the_first_that_fits_is_taken() -> None:
    gateway = {"routes": [{"domain": "*", "smarthost": "gateway.example:25"}]}
    own = {"routes": [
        {"domain": ["hop.example"], "smarthost": "[2001:db8::1]:2525"},
        {"domain": "hop.example", "smarthost": "late.example:25"},
    ]}  # fmt: skip
    assert way_of("hop.example", gateway, own).smarthost == Smarthost("2001:db8::1", 2525)
    assert way_of("else.example", gateway, own).smarthost == Smarthost("gateway.example", 25)


def test_the_strictest_class_that_fits_counts() -> None:
    gateway = {"transport": {"classes": {"*": "encrypted", "*.example": "opportunistic"}}}
    own = {"transport": {"classes": {"hop.example": "authenticated", "*": "opportunistic"}}}
    found = highest(way_of("hop.example", gateway, own).demands)
    assert found.level is TransportLevel.AUTHENTICATED
    assert found.sources == ("the transport class of hop.example in the policy",)
    assert highest(way_of("else.example", gateway, own).demands).level is TransportLevel.ENCRYPTED


def test_a_route_may_ask_for_more_and_a_login_does() -> None:
    login = {"domain": "*", "smarthost": "relay.example:587", "username": "u", "password_file": "/p"}
    assert highest(way_of("hop.example", {"routes": [login]}).demands).level is TransportLevel.ENCRYPTED
    strict = {**login, "minimum": "authenticated"}
    assert highest(way_of("hop.example", {"routes": [strict]}).demands).level is TransportLevel.AUTHENTICATED


def test_lanes_of_a_smarthost_are_one_and_those_of_egress_addresses_apart() -> None:
    gateway = {"routes": [{"domain": "*", "smarthost": "relay.example:25"}]}
    assert way_of("a.example", gateway).lane == way_of("b.example", gateway).lane
    own = {"transport": {"egress_address": "192.0.2.9"}}
    found = way_of("a.example", {}, own)
    assert found.source == "192.0.2.9"
    assert found.lane != way_of("a.example", {}).lane
