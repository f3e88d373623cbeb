"""The addresses of a host: families interleaved, and none that DNS has no business with."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


# The IANA registries of special-purpose addresses, and whether a mail host may have one.
_REGISTRIES = {
    **dict.fromkeys(
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/31"),
            *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
            *("224.0.0.0/4", "255.255.255.255/32"),
            *("::1/128", "::/128", "::ffff:0:0/120", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23"),
            *("2001::/32", "2001:1::1/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28"),
            *("2001:20::/28", "2001:30::/28", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20", "5f00::/16"),
            *("fc00::/7", "fd00::/8", "fe80::/10", "fec0::/10", "ff00::/8", "::/96", "::/8", "4000::/3", "8000::/1"),
        ),
        False,
    ),
    **dict.fromkeys(("1.1.1.0/24", "9.0.0.0/8", "11.0.0.0/8", "100.63.0.0/16", "100.128.0.0/9", "172.32.0.0/11"), True),
    **dict.fromkeys(("192.0.1.0/24", "198.20.0.0/14", "223.0.0.0/8", "126.0.0.0/8", "128.0.0.0/8"), True),
    **dict.fromkeys(("2001:200::/23", "2001:db9::/32", "2003::/18", "2a00::/12", "2400::/12", "3000::/8"), True),
}


def _some_of(network: str) -> set[str]:
    """First, last and one in the middle."""
    found = ipaddress.ip_network(network)
    count = found.num_addresses
    return {str(found[at]) for at in (0, count - 1, count // 2, count // 3)}


@pytest.mark.parametrize(
    ("address", "is_public"),
    sorted({(address, is_public) for network, is_public in _REGISTRIES.items() for address in _some_of(network)}),
)
def test_every_range_of_the_registries(address: str, is_public: bool) -> None:
    assert (refusal(address, False, lambda each: False) == "") is is_public


def _forms_of(four: str) -> dict[str, str]:
    """IPv6 addresses that lead to an IPv4 one."""
    value = int(ipaddress.ip_address(four))
    high, low = value >> 16, value & 0xFFFF
    turned = value ^ 0xFFFFFFFF
    rfc6052 = f"64:ff9b:1:{high:x}:{low >> 8:x}:{(low & 0xFF) << 8:x}::"
    return {
        "mapped": f"::ffff:{four}",
        "nat64": f"64:ff9b::{four}",
        "6to4": f"2002:{high:x}:{low:x}::25",
        "teredo": f"2001:0:808:808:8000:63bf:{turned >> 16:x}:{turned & 0xFFFF:x}",
        "teredo-server": f"2001:0:{high:x}:{low:x}:8000:63bf:f7f7:f7f7",
        "compatible": f"::{four}",
        "local-nat64": f"64:ff9b:1::{four}",
        "local-nat64-48": rfc6052,
        "isatap": f"2a00:1450::5efe:{four}",
        "isatap-global": f"2a00:1450::200:5efe:{four}",
        "nothing": f"2a00:1450::{four}",
    }


_ALLOWED_FORMS = {"mapped", "nat64", "6to4", "isatap", "isatap-global"}


@pytest.mark.parametrize("form", _forms_of("8.8.8.8"))
@pytest.mark.parametrize("four", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0"])
def test_a_private_address_in_another_form_is_refused(form: str, four: str) -> None:
    is_refused = refusal(_forms_of(four)[form], False, lambda each: False) != ""
    assert is_refused is (form != "nothing")


@pytest.mark.parametrize("form", _forms_of("8.8.8.8"))
def test_a_public_address_in_another_form(form: str) -> None:
    is_refused = refusal(_forms_of("8.8.8.8")[form], False, lambda each: False) != ""
    assert is_refused is (form not in _ALLOWED_FORMS | {"nothing"})


@pytest.mark.parametrize("form", [form for form in _forms_of("8.8.8.8") if form != "nothing"])
def test_we_know_ourselves_in_every_form_and_a_route_can_not_allow_that(form: str) -> None:
    assert refusal(_forms_of("198.18.0.7")[form], True, lambda each: each == "198.18.0.7")
    assert refusal(_forms_of("224.0.0.1")[form], True, lambda each: False)
    assert refusal(_forms_of("10.0.0.1")[form], True, lambda each: False) == ""


@given(st.ip_addresses())
def test_every_address_gets_an_answer(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if refusal(str(address), False, lambda each: False) == "":
        assert address.is_global or address in ipaddress.ip_network("64:ff9b::/96")


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
