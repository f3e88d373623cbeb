"""What is a program, and what merely looks so: by its name, by words in its bytes, by its first few letters."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import dos_code
from mailgate.inspect.filetype import detect
from tests.support.messages import EICAR

MANIFEST = "META-INF/MANIFEST.MF"
RUNS = b"Manifest-Version: 1.0\r\nMain-Class: Start\r\n"
LIBRARY = b"Manifest-Version: 1.0\r\n"
BINARY_XML = b"\x03\0\x08\0" + bytes(60)
CLASS = b"\xca\xfe\xba\xbe\0\0\0\x41" + bytes(8)


def zipped(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def compound(root: bytes, rest: bytes = b"") -> bytes:
    """An OLE2 file with a directory of one entry, whose class is `root`."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<H", header, 30, 9)
    struct.pack_into("<I", header, 48, 0)
    name = "Root Entry".encode("utf-16-le")
    entry = name.ljust(64, b"\0") + struct.pack("<HBB", len(name) + 2, 5, 1) + b"\xff" * 12 + root
    return bytes(header) + entry.ljust(512, b"\0") + rest


MSI = bytes.fromhex("84100c0000000000c000000000000046")
PATCH = bytes.fromhex("86100c0000000000c000000000000046")
WORD = "WordDocument".encode("utf-16-le")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob\r\nEND:VCARD\r\n", "bob@partner.com"),
        (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "invitation for eve@partner.com"),
        (b"hello\r\n", "Bestellung bei shop.com"),
        ("Grüße aus Köln, Straße 5\r\n".encode(), "Bestellung bei shop.com"),
        ("Grüße aus Köln, Straße 5\r\n".encode("latin-1"), "Bestellung bei shop.com"),
        ("Привет, мир\r\n".encode("cp1251"), "order@shop.com"),
        ("Ελληνικά\r\n".encode("utf-16"), "order@shop.com"),
        (b"ORDER-0012345;Name;Street;Town;ZIP;Country\r\n", "shop.com"),
        (b"2026-11-30T20:00:00;3123-123-123-123131231231\r\n", "log of shop.com"),
        (b'{"order":12345,"customer":"Maier","total":"10.00"}', "shop.com"),
        (b"<html><body>hi</body></html>", "www.shop.com"),
        (b"From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\n\r\nhi", "re www.shop.com"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "logo@shop.com"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "invoice-shop.com"),
        (bytes(range(256)) * 4, "x@shop.com"),
        (b"\x01\x02\x03\x04\x05", "x@shop.com"),
        (b"\0" * 900, "x@shop.com"),
        (b"DATA\x01\0\0\0\x10\0\0\0" + b"\0\0\x20\x41" * 50, "x@shop.com"),
        (bytes.fromhex("b409ba0901cd21cd20") + bytes(dos_code.LARGEST), "x@shop.com"),
        (b"DEVICE=C:\\DOS\\HIMEM.SYS /TESTMEM:OFF\r\nFILES=40\r\n", "config.sys"),
        (b"About this file\r\n", "kernel.dll"),
        (b"notes on our control\r\n", "grid.ocx"),
        (b"MZ: minutes of the meeting\r\n", "notes"),
        (b"MZ\n\nnotes", "notes.txt"),
        (b"CWS report for May\r\nAll is well.\r\n", "report.txt"),
        (b"CWS\nreport\r\n", "report.txt"),
        (b"FWS 12 of 1998\r\n", ""),
        (b"ITSF is the mark of compiled help\r\n", ""),
        (b"xar! is the mark of xar files\r\n", ""),
        (b"dex\n035 is how they begin\r\n", ""),
        (b"ZM7x\xff\xfe" * 20, ""),
        (zipped({"app/src/main/AndroidManifest.xml": b"<manifest/>", "app/build.gradle": b"x"}), "app-src.zip"),
        (zipped({"AndroidManifest.xml": b"<?xml version='1.0'?><manifest/>", "java/Main.java": b"x"}), "main.zip"),
        (zipped({"AndroidManifest.xml": "\ufeff<manifest/>".encode()}), "main.zip"),
        (zipped({f"proj/src/main/resources/{MANIFEST}": LIBRARY, "proj/pom.xml": b"<project/>"}), "proj.zip"),
        (zipped({MANIFEST: LIBRARY, "de/acme/Main.java": b"class Main {}"}), "lib-sources.jar"),
        (zipped({f"backup/{MANIFEST}": RUNS}), "backup.zip"),
        (zipped({"readme.txt": b"see META-INF/MANIFEST.MF in the jar"}, zipfile.ZIP_STORED), "doc.zip"),
        (zipped({"a.txt": b"AndroidManifest.xml AppxManifest.xml classes.dex"}, zipfile.ZIP_STORED), "doc.zip"),
        (zipped({"src/AppxManifest.xml": b"<Package/>"}), "src.zip"),
        (compound(bytes(16), WORD + MSI), "about installers.doc"),
    ],
)
def test_what_merely_looks_like_a_program_is_none(data: bytes, name: str) -> None:
    assert "executable" not in detect(data, name).classes


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (EICAR, "eicar.com"),
        (bytes.fromhex("b409ba0901cd21cd20") + b"Hello$", "hello@shop.com"),  # mov ah, 9; mov dx, …; int 21h; int 20h
        (bytes.fromhex("e90300414243b44ccd21"), "jump.com"),  # over data
        (bytes.fromhex("be0c01b910008034554 6e2fa".replace(" ", "")) + bytes(range(200, 216)), "decodes.com"),
        (bytes.fromhex("b80001bf0080b90010fcf3a4ffe7") + bytes(range(99)), "moves.com"),  # rep movsb; jmp di
        (bytes.fromhex("b42ccd21b44ccd21"), "letters.com"),  # no byte that is not text in Latin-1
        (b"MZ" + bytes(300), "x@shop.com"),
        (b"\x01\x02\x03\x04", "driver.sys"),
        (b"\x01\x02\x03\x04", "library.dll"),
        (b"anything", "a.scr"),
        (b"anything", "a.pif"),
        (b"anything", "setup.exe "),
        (b"\x7fELF\x02\x01\x01" + bytes(60) + b"%PDF-1.4", "paper.pdf"),
        (b"\xcf\xfa\xed\xfe" + bytes(60) + b"%PDF-1.4", "paper.pdf"),
        (b"CWS\x0a" + struct.pack("<I", 5000) + b"x\x9c", "film.txt"),
        (b"dex\n035\0" + bytes(30), ""),
        (b"ITSF\x03\0\0\0" + bytes(30), ""),
        (zipped({MANIFEST: RUNS, "Start": b""}), "a.zip"),
        (zipped({MANIFEST: LIBRARY, "de/acme/Main.class": CLASS}), "a.zip"),
        (zipped({"meta-inf/manifest.mf": RUNS}), "a.zip"),
        (zipped({MANIFEST: RUNS, "[Content_Types].xml": b"<Types/>", "word/document.xml": b"x"}), "report.docx"),
        (zipped({MANIFEST: RUNS, "a.txt": b"[Content_Types].xml"}, zipfile.ZIP_STORED), "report.docx"),
        (zipped({"AndroidManifest.xml": BINARY_XML}), "a.zip"),
        (zipped({"AndroidManifest.xml": b"<manifest/>", "classes2.dex": b"dex\n035\0"}), "a.zip"),
        (zipped({"AppxManifest.xml": b"<Package/>", "[Content_Types].xml": b"<Types/>"}), "a.zip"),
        (b"#!/bin/sh\nexit\n" + zipped({"x": b"x"}) + compound(MSI), "x.exe"),
        (compound(MSI, WORD), "report.doc"),
        (compound(PATCH), "update"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + MSI, ""),
    ],
)
def test_a_program_is_one_whatever_else_it_looks_like(data: bytes, name: str) -> None:
    assert "executable" in detect(data, name).classes


@pytest.mark.parametrize(
    ("data", "name", "wanted"),
    [
        (b"GIF89a=1;run()", "cat.js", "script"),
        (b"\x89PNG\r\n\x1a\n\0<script>run()</script>", "cat.png.hta", "script"),
        (zipped({"a.txt": b"x"}) + b"\r\nstart calc\r\n", "a.bat", "script"),
        (b"%PDF-1.4\nMsgBox 1", "paper.vbs", "script"),
        (b"\xff\xd8\xff\xe0" + bytes(90), "photo.ps1", "script"),
        (b"<job id='a'><script language='VBScript'/></job>", "x", "script"),
        (b"<component id='a'>\r\n<registration progid='x'/>", "x", "script"),
        (b"PowerShell -enc AAAA", "x", "script"),
        (b"\xff\xd8\xff\xe0" + bytes(90), "photo.lnk", "shortcut"),
        (b"print 1", "shop.pl", "script"),
    ],
)
def test_a_name_that_windows_runs_counts_for_any_content(data: bytes, name: str, wanted: str) -> None:
    assert wanted in detect(data, name).classes


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"BEGIN:VCARD\r\nEND:VCARD\r\n", "bob@partner.pl"),
        (b"<html><body>hi</body></html>", "www.shop.py"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "logo@firma.pl"),
        (b"PowerShell is what we use for that.\r\n", "x.txt"),
        (b"<component name='wheel'><part/></component>", "x.xml"),
        (b"<package name='a'><item/></package>", "x.xml"),
    ],
)
def test_what_merely_looks_like_a_script_is_none(data: bytes, name: str) -> None:
    assert not {"script", "executable"} & set(detect(data, name).classes)


def test_text_that_begins_with_the_letters_of_a_format_is_text() -> None:
    for letters in (
        b"OTTO",
        b"ID3",
        b"OggS",
        b"fLaC",
        b"8BPS",
        b"FWS",
        b"CISO",
        b"BM",
        b"PK",
        b"GIF89a",
        b"RE~^",
        b"MThd",
    ):
        assert detect(letters + b" is how my letter begins.\r\n", "letter.txt").mime == "text/plain", letters


def test_the_manifest_of_an_archive_without_directory_is_found() -> None:
    whole = zipped({MANIFEST: RUNS, "a.txt": b"x"})
    assert "executable" in detect(whole[: whole.index(b"PK\1\2")], "a.zip").classes


def test_no_file_as_large_as_a_segment_is_dos_code() -> None:
    program = bytes.fromhex("b409ba0901cd21cd20")
    assert dos_code.may_be_code(program.ljust(dos_code.LARGEST, b"\x90"))
    assert not dos_code.may_be_code(program.ljust(dos_code.LARGEST + 1, b"\x90"))


def test_few_files_of_random_bytes_pass_for_code() -> None:
    assert sum(dos_code.may_be_code(os.urandom(3000)) for _ in range(300)) < 100


@given(st.binary(max_size=300))
def test_any_bytes_are_code_or_not(data: bytes) -> None:
    assert dos_code.may_be_code(data) in (True, False)
    assert not (dos_code.may_be_code(data) and not data)


@given(st.binary(max_size=200))
def test_what_stands_behind_a_call_of_dos_makes_no_difference(rest: bytes) -> None:
    assert dos_code.may_be_code(bytes.fromhex("b44ccd21") + rest)


@given(st.dictionaries(st.text("abc/.", min_size=1, max_size=8), st.binary(max_size=40), max_size=4), st.booleans())
def test_zipped_files_of_other_names_are_an_archive(files: dict[str, bytes], is_stored: bool) -> None:
    found = detect(zipped(files, zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED), "a.zip")
    assert (found.mime, found.classes) == ("application/zip", ("archive",))
