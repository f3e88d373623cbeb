"""SMTP paths: the grammar, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.address import (
    POSTMASTER,
    Address,
    AddressError,
    is_helo,
    parse_address,
    parse_domain,
    parse_forward_path,
    parse_outside_path,
    parse_reverse_path,
    read_helo,
    take_bare_path,
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
        ("try..this@docomo.example", "try..this", "docomo.example"),
        (".foo@docomo.example", ".foo", "docomo.example"),
        ("foo.@docomo.example", "foo.", "docomo.example"),
        ("...@docomo.example", "...", "docomo.example"),
        ("jobs@a_b.sender.example", "jobs", "a_b.sender.example"),
        ("bob@Acme.example.", "bob", "acme.example"),
        ("jobs@_a._b.example", "jobs", "_a._b.example"),
        ("a" * 65 + "@a.example", "a" * 65, "a.example"),
        ("a" * 240 + "@a.example", "a" * 240, "a.example"),
        ("é" * 33 + "@a.example", "é" * 33, "a.example"),
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
        "a@a.example..",
        "a@.",
        "a@.example",
        "a@[300.1.1.1]",
        "a@[1.2.3]",
        "a@[01.2.3.4]",
        "a@[IPv6:::g]",
        "a@[IPv6:fe80::1%eth0]",
        "a@[tag:x]",
        "a@[192.0.2.1",
        "a@" + "b" * 64 + ".example",
        "a@" + "b.c" * 100 + ".example",
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


@pytest.mark.parametrize("path", ['"try..this"@docomo.example', "a%b@a.example", "/C=DE/O=x!y/@a.example"])
def test_paths_of_others_that_they_alone_can_read(path: str) -> None:
    assert str(parse_outside_path(path)) == path


@pytest.mark.parametrize("path", ["", "bob", "b!bob", "@b.example:bob@a.example", "=?x?B?dmljdGlt?=@a.example"])
def test_paths_that_nobody_can_read(path: str) -> None:
    with pytest.raises(AddressError):
        parse_outside_path(path)


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


@pytest.mark.parametrize(
    ("text", "path", "rest"),
    [
        ("a@b.example", "a@b.example", ""),
        ("a@b.example SIZE=3", "a@b.example", " SIZE=3"),
        ('<"a>b"@c.example> X', '"a>b"@c.example', " X"),
        ("<> SIZE=3", "", " SIZE=3"),
    ],
)
def test_taking_a_path_without_brackets(text: str, path: str, rest: str) -> None:
    assert take_bare_path(text) == (path, rest)


@pytest.mark.parametrize("text", ["", " a@b.example", "a" * 255, ">", "<a@b.example"])
def test_a_bare_path_that_is_none(text: str) -> None:
    with pytest.raises(AddressError):
        take_bare_path(text)


@pytest.mark.parametrize("text", ["", "a@b.example", "<a@b.example", '<"a>', "<" + "a" * 255 + ">"])
def test_a_path_that_is_none(text: str) -> None:
    with pytest.raises(AddressError):
        take_path(text)


@given(st.text(max_size=80))
def test_parsing_never_fails_otherwise(text: str) -> None:
    for parse in (parse_address, parse_forward_path, parse_outside_path, parse_reverse_path, parse_domain):
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


NAMES = ["client.example", "[192.0.2.1]", "[IPv6:::1]", "my_pc", "a.b.", "x"]
ODD_NAMES = [
    *("MÜLLER-PC", "[IPv6:fe80::1%en0]", "fe80::1", "[::ffff:192.168.1.4]", "kochi's-imac", "BRN001BA9 scanner"),
    *(
        "a b",
        "a..b",
        "-",
        "(x)",
        "<client.example>",
        "[DESKTOP-1]",
        "bücher.example",
        "a" * 64 + ".example",
        "[2001:db8::1]",
    ),
    *("laptop's.local", "Scanner #3", "192.168.1.999", "clé"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_as_they_should_be(name: str) -> None:
    assert read_helo(name.encode()) == name
    assert is_helo(name)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_machines_are_taken_as_they_are(name: str) -> None:
    assert read_helo(name.encode()) == name


@pytest.mark.parametrize("name", [*ODD_NAMES[:2], *ODD_NAMES[3:6], "", "a\ufffd"])
def test_they_may_not_stand_in_a_trace_field(name: str) -> None:
    assert not is_helo(name)


def test_what_cannot_be_printed_in_a_name_is_replaced() -> None:
    assert read_helo(b"M\xdcLLER-PC") == "M\ufffdLLER-PC"
    assert read_helo("a\u202eb\u0085c\u2028d".encode()) == "a\ufffdb\ufffdc\ufffdd"


@pytest.mark.parametrize(
    "name",
    [b"", b"[999.1.1.1]", b"[192.0.2.256]", b"[1.2.3]", b"[IPv6:::g]", b"\x1b[2J", b"a\x7f", b"a\tb", b"a" * 256],
)
def test_bad_names(name: bytes) -> None:
    with pytest.raises(AddressError):
        read_helo(name)


@given(st.binary(max_size=300))
def test_a_name_is_printable_or_refused(name: bytes) -> None:
    try:
        found = read_helo(name)
    except AddressError:
        return
    assert (found and found.isprintable()) or " " in found or "\u00a0" in found or "\u3000" in found
