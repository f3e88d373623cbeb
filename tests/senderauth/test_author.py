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
        *(
            " <@route.example:a@b.example>",
            " a@b..example",
            " a@ b.example c@d.example",
            " a@b.example .evil.example c",
        ),
        *(" a@b.example(x).evil.example <", " a@b.example, x (a@d.example", " a. (x) b@c.example >"),
        *(
            " Boss @ Bank.example <a@b.example>",
            " ceo@bank.example <s@sender.example>",
            " Boss @ Bank . example <a@b.example>",
            " Boss @ (x) bank.example <a@b.example>",
            ' Boss @ Bank"".example <a@b.example>',
            " 'ceo@bank.example' <s@sender.example>",
            " ceo@bank.example' <s@sender.example>",
            " \x1b$B@P\x1b(B ceo@bank.example <s@sender.example>",
            " ceo@bank.exam\x1b(Bple <s@sender.example>",
            " s@sender.example\x1b(B.bank.example <s@sender.example>",
            " \x1b[31m <s@sender.example>",
            " a@b.example\x01 <",
            " a@b.example\0c",
        ),
        *(" Doe, =?utf-8?q?ceo=40bank.example?= <s@sender.example>", b" M\xfcller <a@b\xfc.example>"),
        *(
            " a@-b.example",
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


@pytest.mark.parametrize(
    "value",
    [
        *(
            " s@sender.example <s@sender.example>",
            " Doe, John <s@sender.example>",
            " Sales; Support <s@sender.example>",
        ),
        *(b" M\xfcller <s@sender.example>", b" \xc4\xdc, \x96 x <s@sender.example>", " <s@sender.example.>"),
        *(
            " <s@sender.example",
            " s@sender.example>",
            " <<s@sender.example>>",
            ' "s@sender.example',
            " (s@sender.example",
        ),
        *(
            " s@sender.example c",
            " a b@sender.example",
            " s@sender.example\\",
            " s..t@sender.example",
            " [s@sender.example]",
        ),
        *(
            " John <s@sender.example> Doe",
            " s@SENDER.example <t@sender.example>",
            " Team: <s@sender.example>",
            " ; s@sender.example",
        ),
        *(" Sales @ Shop <s@sender.example>", " @example <s@sender.example>", " Bob @bob <s@sender.example>"),
        *(" 's@sender.example' <s@sender.example>", " \u201cs@sender.example\u201d <s@sender.example>"),
        *(" Sales @ 24/7 <s@sender.example>", " a @ B\u00fcro <s@sender.example>", " \u00abs@sender.example\u00bb"),
        *(" \x1b$B%F%9%H\x1b(B <s@sender.example>", " \x1b$B@P@n\x1b(B, x <s@sender.example>"),
        *(" 'Bob' (Sales <s@sender.example>", ' Bob "the" Builder" <s@sender.example>', " mailto:s@sender.example, x"),
    ],
)
def test_a_fault_that_gives_no_second_author_is_borne(value: str | bytes) -> None:
    assert domains(value) == ("sender.example",)


def test_several_fields_must_agree() -> None:
    with pytest.raises(AuthorError, match="2 From fields"):
        domains(" a@b.example", " c@d.example")
    assert domains(" a@b.example", " A <a@b.example>") == ("b.example",)


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
