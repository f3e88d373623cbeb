"""The union as a whole: what Python's parser shows is in it, limits hold, nothing is scanned twice."""

from __future__ import annotations

import email
import email.policy
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.inspect.mime import ParseLimits, Views, views
from mailgate.inspect.parts import Union
from mailgate.model.defect import DEFECTS
from tests.fuzz import fuzz_mime
from tests.inspect_mime.messages_of_parts import HEAD, PAYLOAD, TEXT, attachment, entities, message, multipart, part
from tests.support.components import REPOSITORY, SHARED

MIB = 1 << 20


def shown_by_python(raw: bytes) -> Iterator[bytes]:
    """Every leaf that Python's email package shows under its old and its new policy; its own errors are skipped."""
    for policy in (email.policy.compat32, email.policy.default):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                parts = [
                    part for part in email.message_from_bytes(raw, policy=policy).walk() if not part.is_multipart()
                ]
            except Exception:
                continue
            for leaf in parts:
                try:
                    content = leaf.get_payload(decode=True)
                except Exception:
                    continue
                if isinstance(content, bytes) and content.strip():
                    yield content


def missing(raw: bytes, found: Views) -> list[bytes]:
    """What Python shows and the union lacks; a line end before a delimiter may belong to either side."""
    contents = {part.data.rstrip(b"\r\n") for part in found.parts}
    return [content for content in shown_by_python(raw) if content.rstrip(b"\r\n") not in contents]


@settings(max_examples=400, deadline=None)
@given(entities())
def test_what_python_shows_is_in_the_union(entity: bytes) -> None:
    raw = message(entity)
    found = views(raw)
    assert found.exceeded or not missing(raw, found)


@pytest.mark.component("shared")
def test_what_python_shows_of_published_mail_is_in_the_union() -> None:
    for path in sorted((SHARED / "conformance").rglob("*.eml")):
        raw = path.read_bytes()
        found = views(raw)
        assert found.exceeded or not missing(raw, found), path


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_parsed(raw: bytes) -> None:
    fuzz_mime.check(raw, views(raw, fuzz_mime.LIMITS))


@settings(max_examples=100, deadline=None)
@given(entities())
def test_the_same_bytes_give_the_same_views(entity: bytes) -> None:
    assert views(message(entity)) == views(memoryview(message(entity)))


def test_a_short_run_of_the_fuzzer_finds_nothing() -> None:
    done, finding = fuzz_mime.run(seed=7, executions=1500, seconds=60, seeds=fuzz_mime.load(fuzz_mime.CORPUS))
    assert finding is None
    assert done > 0


def test_large_unambiguous_parts_are_left_out_of_the_raw_scan() -> None:
    raw = message(multipart([TEXT, attachment(bytes(range(256)) * 400)]))
    found = views(raw)
    large = found.parts[1]
    assert found.raw_spans == ((0, large.span[0]), (large.span[1], len(raw)))


def test_an_ambiguous_message_is_scanned_raw_in_full() -> None:
    raw = message(multipart([TEXT, attachment(bytes(range(256)) * 400)], close=b""))
    found = views(raw)
    assert "missing-close-delimiter" in {defect.name for defect in found.defects}
    assert found.raw_spans == ((0, len(raw)),)


def test_equal_contents_are_one_part_with_all_places() -> None:
    found = views(message(multipart([attachment(), TEXT, attachment()])))
    assert [part.places for part in found.parts] == [("1", "3"), ("2",)]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (b"filename*0=in; filename*1=voice.exe", "invoice.exe"),
        (b"filename*=utf-8'en'na%C3%AFve.exe", "naïve.exe"),
        (b'filename="=?utf-8?q?na=C3=AFve.exe?="', "naïve.exe"),
        (b'filename="a.txt"; filename="b.exe"', "b.exe"),
        (b"filename=\"a.txt\"; filename*=us-ascii''b.exe", "b.exe"),
        (b"filename=a b.exe", "a b.exe"),
        (b"filename='q.exe'", "q.exe"),
        (b'filename="x.exe. . "', "x.exe"),
        (b'filename="x.exe\0.txt"', "x.exe"),
        (b'filename="long\r\n name.exe"', "long name.exe"),
    ],
)
def test_every_reading_of_the_file_name_is_kept(names: bytes, wanted: str) -> None:
    body = part(b"application/x", b"base64", b"QUJD", b"Content-Disposition: attachment; " + names + b"\r\n")
    assert wanted in views(message(body)).parts[0].names


CMS_START = b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
BINARY = HEAD + b"Content-Transfer-Encoding: binary\r\n\r\n"
HOSTILE = {
    "parts": HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx%d\r\n" * 100_000,
    "delimiters-in-lines": HEAD + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"x--a" * (5 * MIB // 4),
    "dashes": HEAD + b"Content-Type: multipart/mixed\r\n\r\n" + b"--\n" * (MIB // 3) + b"-" * MIB,
    "depth": HEAD
    + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(9000)),
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 9000,
    "comments": HEAD + b"Content-Type: " + b"(" * MIB,
    "blanks": HEAD + b"Content-Type: multipart/mixed; boundary=b" + b"; " * 100_000 + b" " * 100_000 + b"x\r\n\r\n",
    "field-lines": b"a:\n" * MIB,
    "fields": b"Content-Type: multipart/mixed; boundary=b\r\n" * 20_000 + b"\r\n" + b"--b\r\n\r\nx\r\n" * 1000,
    "parameters": b"Content-Type: multipart/mixed" + b"; boundary=b" * 20_000 + b"\r\n\r\n--b\r\n\r\nx\r\n",
    "continuations": b"Content-Disposition: a" + b"; filename*0*=x" * 20_000 + b"\r\n\r\nx\r\n",
    "lines": HEAD + b"\r\n" + b"x" * (4 * MIB),
    "begins": HEAD + b"\r\n" + b"begin 644 a\r\n" * 100_000 + b"begin-base64 644 a\r\n" * 50_000,
    "yenc": HEAD + b"\r\n" + b"=ybegin a\r\n" * 200_000,
    "binhex": HEAD + b"\r\n" + b"(This file must be converted with BinHex\r\n:" * 50_000,
    "uris": HEAD + b"Content-Type: text/html\r\n\r\n" + b"data:a/b;base64,QUJDREVGRw'" * 100_000,
    "padding": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QQ==" * 500_000,
    "quoted": HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"= \t" * 500_000,
    "words": HEAD + b"Content-Type: a/b; name=" + b"=?a?q?" * 40_000 + b"\r\n\r\nx",
    "froms": b"From \r\n" * 300_000,
    "asn1": BINARY + CMS_START + b"\xa0\x80" * MIB,
    "tnef": BINARY + b"\x78\x9f\x3e\x22\0\0" + b"\x02\x02\x90\0\0\0\0\0\0\0\0" * 100_000,
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_message_costs_bounded_time(attack: str) -> None:
    """Ten seconds stand for linear time here, whatever else the machine does: quadratic would be hours."""
    start = time.process_time()
    found = views(HOSTILE[attack])
    assert time.process_time() - start < 10
    assert len(found.parts) <= ParseLimits().parts


def test_limits_are_named() -> None:
    deep = HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(60))
    assert "depth" in views(deep).exceeded
    many = multipart([part(b"text/plain", b"", b"%d" % n) for n in range(1200)])
    assert "parts" in views(message(many)).exceeded
    few_bytes = ParseLimits(decoded_bytes=100)
    assert "decoded-bytes" in views(message(multipart([attachment(PAYLOAD * 2)])), few_bytes).exceeded
    assert "header" in views(b"X: " + b"y" * 300_000 + b"\r\n\r\nbody").exceeded


@pytest.mark.parametrize(("mebibytes", "most"), [(1, 20), (10, 13), (50, 3)])
def test_the_larger_a_message_the_fewer_of_its_readings_are_paid_for(mebibytes: int, most: int) -> None:
    size = mebibytes * MIB
    union = Union(size, ParseLimits())
    assert sum(union.charge(size) for _ in range(100)) == most
    assert union.views().exceeded == ("readings",)


def test_the_manual_lists_every_defect() -> None:
    manual = (Path(REPOSITORY) / "docs" / "inspection.md").read_text()
    assert [name for name in DEFECTS if f"`{name}`" not in manual] == []
