"""filetype: the type comes from the bytes, the name only decides between kinds of text."""

from __future__ import annotations

import io
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.filetype import detect
from mailgate.model.part_class import PartClass
from tests.support.messages import EICAR


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 10)
    return stream.getvalue()


def pe() -> bytes:
    return b"MZ" + b"\0" * 58 + (64).to_bytes(4, "little") + b"PE\0\0" + b"\0" * 40


def ole2(*streams: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + b"".join(name.encode("utf-16-le") for name in streams)


@pytest.mark.parametrize(
    ("data", "name", "mime", "wanted"),
    [
        (pe(), "holiday.jpg", "application/vnd.microsoft.portable-executable", "executable"),
        (b"MZ" + b"\0" * 10, "", "application/x-dosexec", "executable"),
        (b"\x7fELF\x02\x01", "", "application/x-executable", "executable"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02" + b"\0" * 8, "", "application/x-mach-binary", "executable"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41" + b"\0" * 8, "", "application/java-vm", "executable"),
        (EICAR, "eicar.com", "application/x-dosexec", "executable"),
        (b"#!/bin/sh\nrm -rf /\n", "notes.txt", "text/x-script", "script"),
        (b"var a = 1;\n", "invoice.pdf.js", "text/javascript", "script"),
        (b"MsgBox 1\r\n", "a.VBS", "text/vbscript", "script"),
        (b"dir\r\n", "run.bat. ", "application/x-bat", "script"),
        (b"@echo off\r\ndir", "readme", "text/x-script", "script"),
        (b"<script>1</script>", "a.hta", "application/hta", "script"),
        (b"[InternetShortcut]\r\nURL=file://evil/share\r\n", "a.txt", "application/x-mswinurl", "shortcut"),
        (b"[{000214A0-0000-0000-C000-000000000046}]\r\n", "", "application/x-mswinurl", "shortcut"),
        (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", "doc.pdf", "application/x-ms-shortcut", "shortcut"),
        (b"\0" * 0x8001 + b"CD001" + b"\0" * 100, "a.txt", "application/x-iso9660-image", "disk-image"),
        (b"\1" * 32 + b"NXSB" + b"\0" * 600, "", "application/x-apfs-image", "disk-image"),
        (b"\xff\6\0\0sNaPpY" + b"\0" * 60, "a.sz", "application/x-snappy-framed", "archive"),
        (b"vhdxfile" + b"\0" * 600, "", "application/x-vhdx", "disk-image"),
        (b"\1" * 1024 + b"koly" + b"\0" * 508, "", "application/x-apple-diskimage", "disk-image"),
        (b"\2" * 1024 + b"conectix" + b"\0" * 504, "", "application/x-vhd", "disk-image"),
        (zipped("a.txt"), "a.docx", "application/zip", "archive"),
        (zipped("META-INF/MANIFEST.MF", "A.class"), "a.zip", "application/java-archive", "executable"),
        (zipped("AndroidManifest.xml"), "", "application/vnd.android.package-archive", "executable"),
        (b"Rar!\x1a\x07\x01\0", "", "application/vnd.rar", "archive"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "", "application/x-7z-compressed", "archive"),
        (b"\0" * 257 + b"ustar\0" + b"\0" * 300, "", "application/x-tar", "archive"),
        (ole2("WordDocument", "_VBA_PROJECT"), "", "application/msword", "macro"),
        (ole2("EncryptedPackage"), "", "application/encrypted-office", "document"),
        (zipped("[Content_Types].xml", "word/vbaProject.bin"), "a.docx", None, "macro"),
        (b"%PDF-1.7\n", "a.jpg", "application/pdf", "document"),
        (b"junk\n%PDF-1.7\n", "", "application/pdf", "document"),
        (b"{\\rtf1 x}", "a.doc", "application/rtf", "document"),
        (b"\x89PNG\r\n\x1a\n\0", "a.exe", "image/png", "image"),
        (b"<!DOCTYPE html><p>", "", "text/html", "html"),
        (b"From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\n\r\nhi", "", "message/rfc822", "message"),
        (b"\x78\x9f\x3e\x22\0\0", "winmail.dat", "application/ms-tnef", "message"),
        (b"BEGIN:VCALENDAR\r\n", "", "text/calendar", "text"),
        (b"plain words", "", "text/plain", "text"),
        ("\ufeff<html>".encode("utf-16-le"), "", "text/html", "html"),
        (b"", "a.exe", "inode/x-empty", "data"),
        (b"\x01\x02\x03\x04\x05", "", "application/octet-stream", "data"),
    ],
)
def test_the_bytes_tell_the_type(data: bytes, name: str, mime: str | None, wanted: str) -> None:
    found = detect(data, name)
    assert mime in (None, found.mime)
    assert wanted in found.classes


def test_an_office_document_without_macros_is_no_archive() -> None:
    found = detect(zipped("[Content_Types].xml", "xl/workbook.xml"), "a.zip")
    assert found.mime.endswith("spreadsheetml.sheet")
    assert PartClass.MACRO not in found.classes
    assert PartClass.ARCHIVE not in found.classes


def test_a_program_stays_one_under_any_name() -> None:
    assert {detect(pe(), name).mime for name in ("a.txt", "a.jpg", "", "a.js")} == {
        "application/vnd.microsoft.portable-executable"
    }


@given(st.binary(max_size=600), st.text(max_size=30))
def test_any_bytes_have_a_type(data: bytes, name: str) -> None:
    found = detect(data, name)
    assert "/" in found.mime
    assert found.classes


def test_large_data_costs_no_more_than_small() -> None:
    data = b"\x03" * (32 << 20)
    start = time.process_time()
    for _ in range(100):
        detect(data, "a.bin")
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    "data", [b"MZ: minutes of the meeting\r\n", b"MZ" + bytes(range(200, 256)), b"ZM7x\xff\xfe" * 20]
)
def test_two_letters_are_no_program(data: bytes) -> None:
    assert "executable" not in detect(data, "notes").classes


def test_a_program_whose_old_header_says_nonsense_is_one_for_windows() -> None:
    data = b"MZ" + b"\xff" * 58 + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(40)
    assert "executable" in detect(data, "notes.txt").classes
