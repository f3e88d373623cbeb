"""What is scanned apart, what only within the whole message, and whether a real clamd sees it there."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from mailgate.inspect import clamd
from mailgate.inspect.clamd import Sample
from mailgate.inspect.mime import views
from mailgate.inspect.replies import CLEAN, ScanResult, Version, unscanned
from mailgate.inspect.samples import Scanned, item, scan_message
from mailgate.inspect.scanners import Engine, ScanBatch, ScannerPool
from mailgate.model.verdict import Unscanned, Verdict
from tests.inspect_mime.messages_of_parts import HEAD, attachment, multipart, part
from tests.inspect_scan.small_clamd import SmallClamd

BODY = b"Hello there,\r\nthis text is in the message as it came.\r\n"
TEXT = part(b"text/plain; charset=utf-8", b"", BODY)
HTML = part(b"text/html", b"7bit", b"<p>" + BODY)
SHOWN = (b"mixed", b"alternative", b"related")
FOUND = ScanResult(Verdict.INFECTED, signature="Test.Eicar")
LIMIT = unscanned(Unscanned.LIMIT, "Heuristics.Limits.Exceeded.MaxScanSize")


class Recorder:
    """Finds everything clean but the whole message, which gets the result `whole`."""

    def __init__(self, whole: ScanResult = CLEAN) -> None:
        self._whole = whole
        self.calls: list[list[bytes]] = []

    def scan(self, samples: Sequence[Sample], deadline: float) -> ScanBatch:
        contents = [b"".join(sample.pieces) for sample in samples]
        self.calls.append(contents)
        results = tuple(self._whole if content.startswith(b"Received:") else CLEAN for content in contents)
        return ScanBatch(results, Engine("unix:/1", Version("ClamAV 1.4.6")), 0.5)

    def reach(self, member: int, total: int, deadline: float) -> ScanResult:
        return CLEAN


def scanned(raw: bytes, scanner: Recorder) -> Scanned:
    found = views(raw)
    items = [item(each, is_ambiguous=found.is_ambiguous) for each in found.parts]
    return scan_message(raw, found.raw_spans, items, scanner, time.monotonic() + 10)


def apart(raw: bytes) -> list[bytes]:
    """The parts that get a scan of their own while the message is clean."""
    recorder = Recorder()
    scanned(raw, recorder)
    assert len(recorder.calls) == 1
    return recorder.calls[0][:-1]


@pytest.mark.parametrize(
    "entity",
    [
        TEXT,
        HTML,
        multipart([TEXT, HTML], field=b"multipart/alternative; boundary=bnd"),
        multipart([multipart([TEXT], b"i")]),
    ],
)
def test_a_text_that_the_message_shows_as_it_is_gets_no_scan_of_its_own(entity: bytes) -> None:
    assert apart(HEAD + entity) == []


@pytest.mark.parametrize(
    "entity",
    [
        attachment(BODY),
        part(b"text/plain", b"base64", b"SGVsbG8gdGhlcmUsIHRoaXMgaXMgdGV4dA=="),
        part(b"text/plain", b"quoted-printable", b"Hello=20there"),
        part(b"text/plain; name=a.txt", b"", BODY),
        part(b"text/plain", b"", BODY, b"Content-Disposition: attachment\r\n"),
        part(b"text/x-script", b"", BODY),
        part(b"text/plain", b"", b"MZ" + bytes(62)),
        part(b"text/plain", b"", b"#!/bin/sh\r\nls\r\n"),
        part(b"text/plain", b"", BODY * 400),
        multipart([TEXT], close=b""),
        multipart([TEXT], field=b"multipart/signed; boundary=bnd"),
        part(b"message/rfc822", b"", HEAD + TEXT),
        HTML.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n"),
    ],
)
def test_everything_else_does(entity: bytes) -> None:
    assert apart(HEAD + entity) != []


@pytest.mark.parametrize("whole", [FOUND, LIMIT, unscanned(Unscanned.SCANNER_DOWN, "nobody")])
def test_where_the_message_is_not_clean_each_text_is_asked_for(whole: ScanResult) -> None:
    recorder = Recorder(whole)
    found = scanned(HEAD + multipart([TEXT, attachment(), HTML]), recorder)
    assert recorder.calls[1] == [BODY, b"<p>" + BODY]
    assert (found.results, found.whole, found.seconds) == ((CLEAN,) * 3, whole, 1.0)


@pytest.mark.component("clamd")
def test_a_real_clamd_sees_where_each_of_these_texts_begins(mortal_clamd: SmallClamd) -> None:
    """The reason why they need no scan of their own: signatures at the first byte of a file match within the mail."""
    (mortal_clamd.root / "db" / "first.ndb").write_text(f"Test.First:0:0:{BODY[:12].hex()}\n")
    mortal_clamd.start()
    scanner = ScannerPool([clamd.client(mortal_clamd.endpoint)])
    inner = [multipart([HTML, TEXT], b"i", b"multipart/" + kind + b"; boundary=i") for kind in SHOWN]
    for entity in (TEXT, *inner, *(multipart([each, attachment()]) for each in inner)):
        found = views(HEAD + entity)
        items = [item(each, is_ambiguous=found.is_ambiguous) for each in found.parts if each.data == BODY]
        assert [each.is_shown for each in items] == [True]
        result = scan_message(HEAD + entity, found.raw_spans, items, scanner, time.monotonic() + 20)
        assert result.whole.signature.startswith("Test.First"), entity
        assert result.results[0].signature.startswith("Test.First")
