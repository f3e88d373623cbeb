"""The addresses of a host: families interleaved, and none that DNS has no business with."""

from __future__ import annotations

import asyncio

import pytest

from mailgate.model.dns import Status
from mailgate.route.addresses import MOST_ADDRESSES, Addresses, find, refusal
from mailgate.route.mx import MxHost
from tests.relay.harness import FakeNames


def found(names: FakeNames, host: MxHost | None = None, private: bool = False) -> Addresses:
    return asyncio.run(find(names, host or MxHost("mx.example"), private, lambda address: address == "8.8.4.4"))


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("192.168.0.1", "private"),
        ("172.16.0.1", "private"),
        ("169.254.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fe80::1", "private"),
        ("fd00::1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("0.0.0.0", "no host"),
        ("::", "no host"),
        ("224.0.0.1", "no host"),
        ("ff02::1", "no host"),
        ("255.255.255.255", "no host"),
        ("8.8.4.4", "gateway itself"),
    ],
)
def test_refused_addresses(address: str, word: str) -> None:
    assert word in refusal(address, False, lambda each: each == "8.8.4.4")


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
def test_public_addresses(address: str) -> None:
    assert refusal(address, False, lambda each: False) == ""


def test_a_route_may_allow_private_ones_but_never_ourselves() -> None:
    assert refusal("10.0.0.1", True, lambda each: False) == ""
    assert refusal("127.0.0.1", True, lambda each: True)
    assert refusal("0.0.0.0", True, lambda each: False)


def test_families_take_turns() -> None:
    names = FakeNames()
    names.put("mx.example", "AAAA", "2a00::1", "2a00::2")
    names.put("mx.example", "A", "8.8.8.8", "8.8.8.9", "8.8.8.10")
    assert found(names).found == ("2a00::1", "8.8.8.8", "2a00::2", "8.8.8.9", "8.8.8.10")


def test_one_family_is_enough() -> None:
    names = FakeNames()
    names.put("mx.example", "A", "8.8.8.8")
    names.fail("mx.example", "AAAA")
    answer = found(names)
    assert (answer.found, answer.failure) == (("8.8.8.8",), "")


def test_a_lookup_that_failed_is_told_apart_from_no_address() -> None:
    names = FakeNames()
    assert found(names).failure == ""
    names.fail("mx.example", "A")
    assert "SERVFAIL" in found(names).failure
    names.fail("mx.example", "A", Status.NO_DATA)
    assert found(names).failure == ""


def test_the_number_is_bounded() -> None:
    names = FakeNames()
    names.put("mx.example", "A", *(f"8.8.1.{n}" for n in range(200)))
    assert len(found(names).found) == MOST_ADDRESSES


def test_a_literal_needs_no_lookup() -> None:
    assert found(FakeNames(), MxHost("8.8.8.8", is_literal=True)).found == ("8.8.8.8",)
    assert "private" in found(FakeNames(), MxHost("10.0.0.1", is_literal=True)).refused[0]
