"""Forward secrecy is read from what was agreed."""

from __future__ import annotations

import ssl

import pytest

from mailgate.model.level import TransportLevel
from mailgate.transport.context import Agreed, client_context, failure_of, key_exchange
from mailgate.transport.ladder import Failure, Offer, Step


@pytest.mark.parametrize(
    ("version", "cipher", "exchange", "level"),
    [
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "(EC)DHE", "forward-secret"),
        ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE", "forward-secret"),
        ("TLSv1.2", "DHE-RSA-AES128-GCM-SHA256", "DHE", "forward-secret"),
        ("TLSv1.2", "EDH-RSA-DES-CBC3-SHA", "DHE", "forward-secret"),
        ("TLSv1.2", "AES128-GCM-SHA256", "RSA", "encrypted"),
        ("TLSv1.1", "ECDHE-RSA-AES128-SHA", "ECDHE", "encrypted"),
        ("TLSv1", "AES128-SHA", "RSA", "encrypted"),
    ],
)
def test_level_of_a_suite(version: str, cipher: str, exchange: str, level: str) -> None:
    found = key_exchange(version, cipher)
    assert found == exchange
    assert Agreed(version, cipher, found).level is TransportLevel(level)


def suites(offer: Offer) -> set[str]:
    return {suite["name"] for suite in client_context(Step(offer)).get_ciphers()}


def test_the_first_offer_is_forward_secret_throughout() -> None:
    for suite in client_context(Step(Offer.FORWARD_SECRET)).get_ciphers():
        assert suite["name"].startswith(("TLS_", "ECDHE-", "DHE-")), suite["name"]


def test_each_step_offers_more_than_the_one_before() -> None:
    assert suites(Offer.FORWARD_SECRET) < suites(Offer.STATIC_RSA) | {"x"}
    assert "AES128-GCM-SHA256" in suites(Offer.STATIC_RSA) - suites(Offer.FORWARD_SECRET)
    assert "AES128-SHA" in suites(Offer.LEGACY)
    for offer in (Offer.FORWARD_SECRET, Offer.STATIC_RSA, Offer.LEGACY):
        assert not any(name.startswith(("ADH", "AECDH")) or "NULL" in name for name in suites(offer))


def test_only_a_verifying_step_checks_certificates() -> None:
    assert client_context(Step(Offer.FORWARD_SECRET)).verify_mode is ssl.CERT_NONE
    strict = client_context(Step(Offer.FORWARD_SECRET, verifies=True))
    assert strict.verify_mode is ssl.CERT_REQUIRED and strict.check_hostname


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ssl.SSLError(1, "handshake failure"), Failure.HANDSHAKE),
        (ssl.SSLCertVerificationError(1, "expired"), Failure.CERTIFICATE),
        (ssl.SSLEOFError(8, "EOF"), Failure.CONNECTION),
        (ConnectionResetError(), Failure.CONNECTION),
        (TimeoutError(), Failure.CONNECTION),
    ],
)
def test_kinds_of_failures(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure
