"""The real domain of From, whatever surrounds it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.senderauth import author, header
from mailgate.senderauth.author import AuthorError, NoAuthorError


def domains(*values: str | bytes) -> tuple[str, ...]:
    fields = [b"From:" + (value if isinstance(value, bytes) else value.encode()) + b"\r\n" for value in values]
    return author.author_domains(header.read(b"".join(fields) + b"\r\nbody"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" bob@Example.ORG", ("example.org",)),
        (" Bob <bob@example.org>", ("example.org",)),
        (' "Boss <boss@bank.example>" <bob@evil.example>', ("evil.example",)),
        (" =?utf-8?q?boss=40bank=2Eexample?= <bob@evil.example>", ("evil.example",)),
        (" =?utf-8?b?PGJvc3NAYmFuay5leGFtcGxlPg==?= <bob@evil.example>", ("evil.example",)),
        (" boss@bank.example (really) ", ("bank.example",)),
        (" (boss@bank.example) bob@evil.example", ("evil.example",)),
        (" Bob (a \\) (b)) <bob@evil.example>", ("evil.example",)),
        ("\r\n Bob\r\n <bob@\r\n evil.example>", ("evil.example",)),
        (' "a@b"@evil.example', ("evil.example",)),
        (" J. R. Bob <bob@evil.example>", ("evil.example",)),
        (" a@one.example, b@two.example, c@one.example", ("one.example", "two.example")),
        (" team: a@one.example, Bee <b@two.example>;", ("one.example", "two.example")),
        (" bob@b\u00fccher.example", ("xn--bcher-kva.example",)),
        (" \u00dcmlaut <bob@example.org>", ("example.org",)),
        (" bob@[192.0.2.1]", ("[192.0.2.1]",)),
    ],
)
def test_domains(value: str, expected: tuple[str, ...]) -> None:
    assert domains(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(" a@b.example@c.example", " <a@b.example> <c@d.example>", " a@b.example <c@d.example>", " a@", " @b.example"),
        *(" <a@b.example", " a@b.example>", " a b@c.example", ' "a@b.example', " (a@b.example", " a@b..example"),
        *(" a@b.example c", " <@route.example:a@b.example>", " a@b.example\\", " a..b@c.example", " <<a@b.example>>"),
        *(
            " a@-b.example",
            " [a@b.example]",
            " a@b_c.example",
            " =?utf-8?q?a=40bank.example?=",
            " " + "a@b.example," * 30,
            b" a\xff@b.example",
        ),
        *(" Boss =?utf-8?B?PGFAYmFuay5leGFtcGxlPg?=", "=?x?b?Y==?= =?iso-8859-1*en?Q?<a=40bank.example>?="),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(value: str | bytes) -> None:
    with pytest.raises(AuthorError) as caught:
        domains(value)
    assert not isinstance(caught.value, NoAuthorError)


def test_several_fields_are_refused() -> None:
    with pytest.raises(AuthorError, match="2 From fields"):
        domains(" a@b.example", " c@d.example")


@pytest.mark.parametrize("values", [(), (" Moderator",), ("",), (" =?utf-8?q?M=C3=B6derator?= =?x?b?Y?=",)])
def test_nobody(values: tuple[str, ...]) -> None:
    with pytest.raises(NoAuthorError):
        domains(*values)


def test_a_huge_field_is_refused_at_once() -> None:
    with pytest.raises(AuthorError, match="too long"):
        domains(" " + "(" * 5_000_000 + "@")


@given(st.text(st.sampled_from('a@b.<>()[]"\\,;: \t'), max_size=40))
def test_nothing_else_is_raised(value: str) -> None:
    try:
        found = domains(value)
    except AuthorError:
        return
    assert found
