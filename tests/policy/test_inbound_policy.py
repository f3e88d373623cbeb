"""Inbound routes and the servers that send through us."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.policy.loader import PolicyErrors, load
from mailgate.policy.schema import InboundProtocol
from tests.policy.making import SIZE_LIMIT, policy, snapshot

FINGERPRINT = ":".join(["AB", "cd"] * 16)
PIN = '[[sending.certificates]]\nname = "s"\n{}\n'
ROUTE = '[[inbound]]\ndomain = "{}"\nserver = "{}:25"\n'


def test_the_first_route_that_fits_is_taken_the_tenants_first() -> None:
    found = policy(
        ROUTE.format("acme.example", "gateway-wide"),
        ROUTE.format("*.acme.example", "below") + 'protocol = "lmtp"\n' + ROUTE.format("acme.example", "own"),
    )
    below = found.inbound_route("x.acme.example")
    assert below is not None
    assert (below.server, below.protocol, below.verify) == ("below:25", InboundProtocol.LMTP, True)
    own = found.inbound_route("acme.example")
    assert own is not None
    assert (own.server, own.protocol) == ("own:25", InboundProtocol.SMTP)
    assert found.inbound_route("other.example") is None


def test_a_server_at_a_socket_of_this_machine() -> None:
    found = policy("", '[[inbound]]\ndomain = "acme.example"\nserver = "unix:/run/dovecot/lmtp"\nprotocol = "lmtp"')
    route = found.inbound_route("acme.example")
    assert route is not None
    assert (route.endpoint.host, route.endpoint.port) == ("/run/dovecot/lmtp", 0)


@pytest.mark.parametrize(
    ("address", "tenants"),
    [
        ("192.0.2.1", {"acme", "globex"}),
        ("192.0.2.2", {"acme"}),
        ("::ffff:192.0.2.2", {"acme"}),
        ("2001:db8::5%eth0", {"acme"}),
        ("192.0.3.1", set()),
        ("2001:db9::5", set()),
    ],
)
def test_who_sends_from_an_address(address: str, tenants: set[str]) -> None:
    found = snapshot(
        acme='[sending]\nnetworks = ["192.0.2.0/24", "2001:db8::/32"]', globex='[sending]\nnetworks = "192.0.2.1"'
    )
    assert found.senders_at(address) == tenants
    assert type(found).decode(found.encode()).senders_at(address) == tenants


def test_who_sends_with_a_certificate() -> None:
    plain = "abcd" * 16
    found = snapshot(
        acme=PIN.format(f'sha256 = "{FINGERPRINT}"\ndomain = "*.acme.example"'),
        globex=PIN.format(f'public_key = "{plain}"'),
    )
    assert found.asks_for_certificates and not snapshot(acme="").asks_for_certificates
    for each in (found, type(found).decode(found.encode())):
        ((tenant, pinned),) = each.senders_with(plain, "")
        assert tenant == "acme"
        assert [pinned.covers(domain) for domain in ("acme.example", "a.acme.example", "")] == [False, True, True]
        assert [tenant for tenant, _ in each.senders_with("", plain)] == ["globex"]
        assert not each.senders_with("", "")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("tenants/acme.toml", '[sending]\nnetworks = ["192.0.2.1/24"]', "is not a network"),
        ("tenants/acme.toml", '[sending]\nnetworks = ["0.0.0.0/0"]', "takes in too much"),
        ("tenants/acme.toml", '[sending]\nnetworks = ["::/8"]', "takes in too much"),
        ("tenants/acme.toml", ROUTE.format("*", "own"), "inbound[1].domain[1]"),
        ("tenants/acme.toml", '[[inbound]]\ndomain = "acme.example"', "server is missing; add it"),
        (
            "tenants/acme.toml",
            '[[inbound]]\ndomain = "acme.example"\nserver = "unix:/run/lmtp"',
            'speaks LMTP; add protocol = "lmtp"',
        ),
        (
            "tenants/acme.toml",
            '[[inbound]]\ndomain = "acme.example"\nserver = "unix:/run/lmtp"\nprotocol = "lmtp"\nminimum = "encrypted"',
            "minimum has no meaning for a Unix socket",
        ),
        (
            "tenants/acme.toml",
            '[[inbound]]\ndomain = "acme.example"\nserver = "unix:lmtp"\nprotocol = "lmtp"',
            "inbound[1].server",
        ),
        ("tenants/acme.toml", '[inbound]\ndomain = "acme.example"', "begin each rule with a line [[inbound]]"),
        ("gateway.toml", '[sending]\nnetworks = ["192.0.2.1"]', "sending: belongs in a tenant's file"),
        ("gateway.toml", PIN.format(f'sha256 = "{FINGERPRINT}"'), "sending: belongs in a tenant's file"),
        ("tenants/acme.toml", PIN.format('sha256 = "ab:cd"'), '"ab:cd" is not a SHA-256 fingerprint'),
        ("tenants/acme.toml", PIN.format(""), "sending.certificates[1]: needs sha256 or public_key"),
        ("tenants/acme.toml", PIN.format("sha = 1"), "did you mean sha256?"),
        ("tenants/acme.toml", "[sending.certificates]", "begin each rule with a line [[sending.certificates]]"),
        (
            "tenants/acme.toml",
            PIN.format(f'sha256 = "{FINGERPRINT}"\npublic_key = "{FINGERPRINT}"'),
            "sending.certificates[1]: needs sha256 or public_key",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, file: str, text: str, message: str) -> None:
    (tmp_path / "tenants").mkdir()
    (tmp_path / "gateway.toml").touch()
    (tmp_path / file).write_text(text)
    with pytest.raises(PolicyErrors) as raised:
        load(tmp_path, SIZE_LIMIT)
    assert message in str(raised.value)
