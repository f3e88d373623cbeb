"""The whole inspection with the real parser and a real clamd."""

from __future__ import annotations

import base64
import io
import lzma
import zipfile
from collections.abc import Callable

import pikepdf
import pytest

from mailgate.inspect.worker import inspector
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import Inspection, Unscanned, Verdict
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.inspect_scan.small_clamd import SCAN_LIMIT, SmallClamd
from tests.support import messages
from tests.support.components import TESTFILES
from tests.support.messages import EICAR

pytestmark = pytest.mark.component("clamd")

Inspect = Callable[[bytes], Inspection]
HEAD = b"From: a@sender.example\r\nTo: b@acme.example\r\nSubject: s\r\n"


@pytest.fixture(scope="module")
def inspected(small_clamd: SmallClamd) -> Inspect:
    inspection = inspector([small_clamd.endpoint])
    return lambda raw: inspection(raw, InspectLimits())


def zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def test_an_honest_message_is_clean_and_every_part_has_its_report(inspected: Inspect) -> None:
    found = inspected(messages.with_attachment("a", messages.pdf(), "report.pdf"))
    assert found.verdict is Verdict.CLEAN
    assert [part.place for part in found.parts] == ["1", "2", "raw"]
    attachment = found.parts[1]
    assert (attachment.name, attachment.detected_type, attachment.is_attachment) == (
        "report.pdf",
        "application/pdf",
        True,
    )


@pytest.mark.parametrize(
    "message",
    [
        messages.with_attachment("a", EICAR),
        messages.with_attachment("b", zipped("a.txt", EICAR), "a.zip"),
        messages.clean("c", EICAR.decode() + "\r\n"),
        HEAD + b"\r\n" + EICAR,
        EICAR,
        HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(EICAR),
        b"Content-Type: text/plain\r\n\r\n" + EICAR,
        b"From sender@sender.example Mon Nov 23 03:00:00 2026\r\n" + messages.with_attachment("d", EICAR),
        b"Received: from a by b; Mon, 23 Nov 2026 03:00:00 +0000\r\n" + messages.with_attachment("e", EICAR),
        messages.with_attachment("f", bytes(100_000) + EICAR),
    ],
    ids=[
        "attachment",
        "zip",
        "text",
        "no-mime",
        "bare",
        "base64-without-mime",
        "type-first",
        "mbox",
        "received",
        "large",
    ],
)
def test_the_test_virus_is_found_wherever_it_is(inspected: Inspect, message: bytes) -> None:
    found = inspected(message)
    assert found.verdict is Verdict.INFECTED
    assert "Eicar" in found.signature


@pytest.mark.component("testfiles")
def test_every_container_of_clamavs_test_files_is_refused(inspected: Inspect) -> None:
    files = sorted(TESTFILES.iterdir())
    verdicts = {file.name: inspected(messages.with_attachment("t", file.read_bytes(), file.name)) for file in files}
    assert len(files) > 40
    assert [name for name, found in verdicts.items() if found.verdict is not Verdict.INFECTED] == []


def test_encrypted_archives_are_held_and_their_members_named(inspected: Inspect) -> None:
    found = inspected(messages.with_attachment("g", encrypted_zip("salary.xlsx", b"secret"), "salary.zip"))
    assert found.verdict is Verdict.NOT_SCANNED
    assert [(part.place, part.name, part.reason) for part in found.unscanned] == [
        ("2", "salary.zip", Unscanned.ENCRYPTED),
        ("2/1", "salary.xlsx", Unscanned.ENCRYPTED),
    ]


def compressed_with_lzma(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def attached_to_pdf(name: str, content: bytes) -> bytes:
    """Encrypted, but for nobody: the password is empty."""
    made = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.attachments[name] = content
        document.save(made, encryption=pikepdf.Encryption(owner="secret", user="", R=6))
    return made.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        compressed_with_lzma,
        attached_to_pdf,
        lambda name, content: zipped("hello.txt", b"hello") + zipped(name, content),
        lambda name, content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    ],
    ids=["zip-lzma", "pdf", "zip-and-zip", "lzma"],
)
def test_what_the_scanner_cannot_unpack_is_scanned_all_the_same(
    inspected: Inspect, pack: Callable[[str, bytes], bytes]
) -> None:
    found = inspected(messages.with_attachment("l", pack("a.txt", EICAR), "a.bin"))
    assert (found.verdict, found.parts[1].place) == (Verdict.INFECTED, "2")
    assert next(part.place for part in found.parts if part.verdict is Verdict.INFECTED).startswith("2/")
    assert inspected(messages.with_attachment("m", pack("a.txt", b"harmless"), "a.bin")).verdict is Verdict.CLEAN


def test_a_part_beyond_the_scanners_limit_is_not_scanned(inspected: Inspect) -> None:
    found = inspected(messages.with_attachment("h", bytes(SCAN_LIMIT + 1), "zeros.bin"))
    assert found.verdict is Verdict.NOT_SCANNED
    assert {part.reason for part in found.unscanned} == {Unscanned.LIMIT}


def test_programs_in_archives_are_seen_under_any_name(inspected: Inspect) -> None:
    program = b"MZ" + bytes(58) + b"\x40\0\0\0" + b"PE\0\0" + bytes(200)
    found = inspected(messages.with_attachment("i", zipped("photo.jpg", program), "photos.zip"))
    inside = next(part for part in found.parts if part.place == "2/1")
    assert (inside.name, inside.verdict) == ("photo.jpg", Verdict.CLEAN)
    assert PartClass.EXECUTABLE in inside.classes
