"""Excel 4.0 macros and VBA are seen by the gateway itself, however the file says that it has them."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.canary_files import macros, ole2
from mailgate.inspect.containers import is_container, listing
from mailgate.inspect.macros import has_macro_sheet, tells_of_macros
from mailgate.inspect.members import Budget
from mailgate.model.part_class import PartClass


def record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def begin(kind: int, version: int = 0x600) -> bytes:
    return record(0x809, struct.pack("<HHHHII", version, kind, 0x0DBB, 0x07CC, 0, 6))


def sheet(kind: int, state: int = 0) -> bytes:
    return record(0x85, struct.pack("<IBBBB", 0, state, kind, 2, 0) + b"ab")


def workbook(*sheets: bytes, before: bytes = b"") -> bytes:
    return begin(5) + before + b"".join(sheets) + record(0x0A) + begin(0x10) + record(0x0A)


def classes(data: bytes) -> tuple[str, ...]:
    assert is_container(data)
    found = listing(data, Budget())
    assert not (found.exceeded or found.unreadable)
    return found.classes


@pytest.mark.parametrize("stream", ["Workbook", "Book", "WORKBOOK"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (workbook(sheet(0), sheet(2)), False),
        (workbook(sheet(0), sheet(1)), True),
        (workbook(sheet(1, state=2)), True),  # very hidden
        (workbook(sheet(0), before=record(0x2F, bytes(54))) + begin(0x40), True),  # encrypted: its BOF is not
        (workbook(sheet(0), before=record(0xFC, bytes(8224)) * 6) + sheet(1), False),  # behind the globals: no sheet
        (workbook(sheet(1), before=record(0xFC, bytes(8224)) * 6), True),
        (begin(0x40, version=0x500), True),
    ],
)
def test_a_sheet_of_excel_4_macros(stream: str, content: bytes, expected: bool) -> None:
    assert (PartClass.MACRO in classes(ole2(stream, content))) is expected


@pytest.mark.parametrize("kind", [0x0009, 0x0209, 0x0409])
@pytest.mark.parametrize(("sheet_kind", "expected"), [(0x10, False), (0x40, True)])
def test_a_workbook_of_excel_2_to_4_needs_no_ole2_file(kind: int, sheet_kind: int, expected: bool) -> None:
    plain = record(kind, struct.pack("<HHH", 2, sheet_kind, 0)) + record(0x0A)
    assert (PartClass.MACRO in classes(plain)) is expected


def test_the_workbook_of_the_canary() -> None:
    assert PartClass.MACRO in classes(macros())


def office(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


TYPES = '<?xml version="1.0"?><Types><Override PartName="/xl/{}" ContentType="application/vnd.ms-{}"/></Types>'
SHEET = b'<?xml version="1.0"?><xm:macrosheet xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"/>'
FILLING = [(f"xl/media/image-with-a-long-name-{number}.png", b"x") for number in range(700)]


@pytest.mark.parametrize(
    "members",
    [
        [("[Content_Types].xml", TYPES.format("a.xml", "excel.macrosheet+xml").encode()), ("xl/a.xml", b"")],
        [("[Content_Types].xml", TYPES.format("a.xml", "excel.intlmacrosheet+xml").encode()), ("xl/a.xml", b"")],
        [("[Content_Types].xml", TYPES.format("a.bin", "excel.macrosheet").encode()), ("xl/a.bin", b"")],  # xlsb
        [("[Content_Types].xml", TYPES.format("a.bin", "office.vbaProject").encode()), ("xl/a.bin", b"")],
        [("[content_types].XML", TYPES.format("a.xml", "excel.MacroSheet+xml").encode("utf-16")), ("xl/a.xml", b"")],
        [("[Content_Types].xml", b" " * 200_000 + TYPES.format("a", "excel.macrosheet").encode())],
        [("[Content_Types].xml", b""), ("xl/MacroSheets/sheet1.xml", b"")],
        [("[Content_Types].xml", b""), ("xl/worksheets/sheet1.xml", SHEET)],
        [("[Content_Types].xml", b""), *FILLING, ("xl/vbaProject.bin", b""), ("last.xml", b"")],
        [("mimetype", b"application/vnd.oasis.opendocument.text"), ("Basic/Standard/Module1.xml", b"")],
        [("mimetype", b"application/vnd.oasis.opendocument.text"), ("Scripts/python/a.py", b"")],
    ],
    ids=["xml", "intl", "xlsb", "vba", "utf-16", "late", "path", "root", "many", "basic", "python"],
)
def test_an_office_file_says_that_it_has_macros(members: list[tuple[str, bytes]]) -> None:
    assert PartClass.MACRO in classes(office(*members))


def test_an_office_file_without_macros() -> None:
    types = TYPES.format("a.xml", "excel.sheet+xml").encode()
    assert PartClass.MACRO not in classes(office(("[Content_Types].xml", types), ("xl/a.xml", b"macrosheet")))


@given(st.binary(max_size=300))
def test_any_stream_is_read_to_its_end(content: bytes) -> None:
    assert has_macro_sheet(content) in (True, False)
    assert has_macro_sheet(b"\x09\x08" + content) in (True, False)


@given(st.text(max_size=50), st.binary(max_size=300))
def test_any_member_is_judged(name: str, content: bytes) -> None:
    assert tells_of_macros(name, content) in (True, False)
