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
        ("(c) mx.example (c(d)) ; (e) spf = pass (f) smtp . mailfrom=a", "", None),
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
