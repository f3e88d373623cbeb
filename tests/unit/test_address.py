"""SMTP paths: the grammar, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.address import (
    POSTMASTER,
    Address,
    AddressError,
    parse_address,
    parse_domain,
    parse_forward_path,
    parse_helo,
    parse_reverse_path,
    take_path,
)


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("bob@acme.example", "bob", "acme.example"),
        ("Bob.Smith+tag@ACME.Example", "Bob.Smith+tag", "acme.example"),
        ("o'neil=x/y#1@a.example", "o'neil=x/y#1", "a.example"),
        ('"two words"@a.example', '"two words"', "a.example"),
        ('"a\\"b@c"@a.example', '"a\\"b@c"', "a.example"),
        ('""@a.example', '""', "a.example"),
        ("a@[192.0.2.7]", "a", "[192.0.2.7]"),
        ("a@[IPv6:2001:DB8::1]", "a", "[IPv6:2001:db8::1]"),
        ("jürgen@bücher.example", "jürgen", "xn--bcher-kva.example"),
        ("a" * 64 + "@a.example", "a" * 64, "a.example"),
        ("x@localhost", "x", "localhost"),
    ],
)
def test_valid_addresses(text: str, local: str, domain: str) -> None:
    assert parse_address(text) == Address(local, domain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "@a.example",
        "bob@",
        "bob@@a.example",
        "a..b@a.example",
        ".a@a.example",
        "a.@a.example",
        "a b@a.example",
        "a\tb@a.example",
        "a\0b@a.example",
        "a\rb@a.example",
        '"a@a.example',
        'a"b"@a.example',
        '""x@a.example',
        '"a\x01"@a.example',
        '"a\x1b[31m"@a.example',
        "a(comment)@a.example",
        "a@a.example (comment)",
        "a@-a.example",
        "a@a-.example",
        "a@a..example",
        "a@a.example.",
        "a@.example",
        "a@a_b.example",
        "a@[300.1.1.1]",
        "a@[1.2.3]",
        "a@[01.2.3.4]",
        "a@[IPv6:::g]",
        "a@[IPv6:fe80::1%eth0]",
        "a@[tag:x]",
        "a@[192.0.2.1",
        "a@" + "b" * 64 + ".example",
        "a@" + "b.c" * 100 + ".example",
        "a" * 65 + "@a.example",
        "é" * 33 + "@a.example",
        "a\u0085b@a.example",
        "a\u2028b@a.example",
        "a@\u202e.example",
    ],
)
def test_invalid_addresses(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


@pytest.mark.parametrize(
    "path",
    [
        '"bob"@a.example',
        "bob%b.example@a.example",
        "b.example!bob",
        "b.example!bob@a.example",
        "@b.example:bob@a.example",
        "@b.example,@c.example:bob@a.example",
        "=?utf-8?q?victim=40b.example?=@a.example",
        "=?x?B?dmljdGlt?=@a.example",
        "",
        "bob,eve@b.example",
        "bob@a.example,eve@b.example",
    ],
)
def test_forward_paths_that_others_read_otherwise_are_refused(path: str) -> None:
    with pytest.raises(AddressError):
        parse_forward_path(path)


@pytest.mark.parametrize("path", ["postmaster", "Postmaster", "POSTMASTER"])
def test_postmaster_needs_no_domain(path: str) -> None:
    assert parse_forward_path(path) is POSTMASTER


def test_a_source_route_of_a_reverse_path_is_ignored() -> None:
    assert parse_reverse_path("@a.example,@b.example:bob@c.example") == Address("bob", "c.example")
    with pytest.raises(AddressError):
        parse_reverse_path("@a..example:bob@c.example")


def test_the_null_reverse_path() -> None:
    assert parse_reverse_path("") is None


@pytest.mark.parametrize(
    ("text", "path", "rest"),
    [
        ("<a@b.example>", "a@b.example", ""),
        ("<> SIZE=3", "", " SIZE=3"),
        ('<"a>b"@c.example> X', '"a>b"@c.example', " X"),
        ('<"a\\">b"@c.example>', '"a\\">b"@c.example', ""),
        ("<a@b.example>>", "a@b.example", ">"),
    ],
)
def test_taking_the_path(text: str, path: str, rest: str) -> None:
    assert take_path(text) == (path, rest)


@pytest.mark.parametrize("text", ["", "a@b.example", "<a@b.example", '<"a>', "<" + "a" * 255 + ">"])
def test_a_path_that_is_none(text: str) -> None:
    with pytest.raises(AddressError):
        take_path(text)


@given(st.text(max_size=80))
def test_parsing_never_fails_otherwise(text: str) -> None:
    for parse in (parse_address, parse_forward_path, parse_reverse_path, parse_domain, parse_helo):
        try:
            parse(text)
        except AddressError as error:
            assert str(error)


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_valid_stays_what_it_is(local: str, domain: str) -> None:
    try:
        address = parse_address(f"{local}@{domain}")
    except AddressError:
        return
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("name", ["client.example", "[192.0.2.1]", "[IPv6:::1]", "my_pc", "a.b.", "x"])
def test_helo_names(name: str) -> None:
    assert parse_helo(name)


@pytest.mark.parametrize("name", ["", "a b", "[999.1.1.1]", "\x1b[2J", "clé", "-", "a" * 300 + ".example", "(x)"])
def test_bad_helo_names(name: str) -> None:
    with pytest.raises(AddressError):
        parse_helo(name)
