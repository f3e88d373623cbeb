"""RFC 8601: what is written can be read, what is read is what the grammar says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.senderauth import results
from mailgate.senderauth.results import AuthenticationResults, MethodResult, Property, ResultsError


@pytest.mark.parametrize(
    ("value", "authserv_id", "methods"),
    [
        ("mx.example; none", "mx.example", []),
        ("mx.example 1; none", "mx.example", []),
        ('"mx.example" ; none', "mx.example", []),
        ("(c) mx.example (c(d)) ; (e) spf = pass (f) smtp . mailfrom=a", "mx.example", [("spf", "pass")]),
        (
            "mx.example (a) 1 (b); dkim (c) / 1 (d) = (e) fail policy (f) . x (g) = (h) 1",
            "mx.example",
            [("dkim", "fail")],
        ),
        ('mx.example; spf=pass smtp.mailfrom="a b"@c.example', "mx.example", [("spf", "pass")]),
        ("mx.example; spf pass=x", "", None),
        ('mx.example; "spf"=pass', "", None),
        ('mx.example; spf "=" pass', "", None),
        ("mx.example; spf=pass smtp.=x", "", None),
        ("mx.example; spf=pass (sender is a;b=c) smtp.mailfrom=a@b.example;", "mx.example", [("spf", "pass")]),
        ('mx.example;\r\n\tdkim=fail reason="bad; hash" header.d=b.example', "mx.example", [("dkim", "fail")]),
        ('mx.example; dkim/1=pass header.b="a/b="', "mx.example", [("dkim", "pass")]),
        ("mx.example; dkim=pass header.b=ab==; dmarc=fail", "mx.example", [("dkim", "pass"), ("dmarc", "fail")]),
        ("", "", []),
        ("mx.example", "", None),
        ("mx.example;", "", None),
        ("; spf=pass", "", None),
        ("mx.example; spf", "", None),
        ("mx.example; spf=", "", None),
        ("mx.example; spf=pass action=none", "", None),
        ("mx.example; spf=pass; ; dkim=pass", "", None),
        ("mx.example x; none", "", None),
        ("mx.example; none; spf=pass", "", None),
        ("mx.example; spf=pass (open", "", None),
        ('mx.example; spf=pass reason="open', "", None),
    ],
)
def test_reading(value: str, authserv_id: str, methods: list[tuple[str, str]] | None) -> None:
    if methods is None:
        with pytest.raises(ResultsError):
            results.parse(value)
        return
    found = results.parse(value)
    assert (found.authserv_id, [(each.method, each.result) for each in found.results]) == (authserv_id, methods)


def test_reasons_and_properties() -> None:
    (found,) = results.parse('x; dkim=fail reason="a \\"b\\"" header.d=b.example header.i=@b.example').results
    assert found.reason == 'a "b"'
    assert found.properties == (Property("header", "d", "b.example"), Property("header", "i", "@b.example"))


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        (" MX.Example; none", True),
        (" (a (b) \\) c) mx.example 1; none", True),
        (' "m\\x.example"; none', True),
        (" mx.example.; none", True),
        ("\r\n\t(a)\r\n\t(b)mx.example", True),
        (" (never closed mx.example; none", True),
        (" \u0001mx.example; none", True),
        (" (mx.example) other.example; spf=pass", False),
        (" xmx.example; spf=pass", False),
        (" other.example; spf=pass smtp.helo=mx.example", False),
        ("", False),
    ],
)
def test_whose_results_they_are(value: str, is_ours: bool) -> None:
    assert results.is_written_by(value, "mx.example") is is_ours


def test_internationalised_names_of_the_same_host() -> None:
    assert results.is_written_by(" m\u00f8x.example; none", "xn--mx-lka.example")


def test_quoted_local_parts_are_kept() -> None:
    (found,) = results.parse('x; spf=pass smtp.mailfrom="a \\"b"@c.example smtp.helo = h').results
    assert found.properties == (Property("smtp", "mailfrom", '"a \\"b"@c.example'), Property("smtp", "helo", "h"))


hostile = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(hostile, hostile, hostile, hostile)
def test_nothing_breaks_out_of_the_field(reason: str, value: str, comment: str, local: str) -> None:
    written = AuthenticationResults(
        "mx.example",
        (
            MethodResult("spf", "fail", reason, (Property("smtp", "mailfrom", f"{local}@{value}"),), comment),
            MethodResult("dmarc", "fail"),
        ),
    )
    field = written.field()
    assert all(line.startswith("\t") for line in field.split("\r\n")[1:])
    assert not any(char in field.replace("\r\n\t", "") for char in "\r\n\0")
    read = results.parse(written.value)
    assert [(each.method, each.result) for each in read.results] == [("spf", "fail"), ("dmarc", "fail")]


def test_without_results_it_says_none() -> None:
    assert AuthenticationResults("mx.example").field() == "Authentication-Results: mx.example; none"


@given(st.text(max_size=80))
def test_nothing_breaks_the_parser(text: str) -> None:
    for value in (text, f"mx.example; {text}"):
        try:
            results.parse(value)
        except ResultsError:
            continue
