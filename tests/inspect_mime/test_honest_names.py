"""File names as real programs write them, in many character sets: no defect is said of them but that an encoded word
stands where RFC 2047 allows none."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.names import file_names
from mailgate.inspect.parameters import parse_structured, text_in
from tests.inspect_mime.messages_of_parts import defects_and_names

NAMES = {
    "utf-8": "Größe 見積 отчёт.pdf",
    "iso-8859-1": "Größe.pdf",
    "iso-8859-2": "Žluťoučký kůň.pdf",
    "iso-8859-5": "Отчёт.pdf",
    "iso-8859-7": "Αναφορά.pdf",
    "iso-8859-8": "דוח.pdf",
    "iso-8859-9": "İstanbul ğüş.pdf",
    "iso-8859-15": "Preis 5 €.pdf",
    "windows-1250": "Příliš.pdf",
    "windows-1251": "Отчёт.pdf",
    "windows-1252": "„Preis“ – 5 €.pdf",
    "windows-1255": "דוח שנתי.pdf",
    "windows-1256": "تقرير.pdf",
    "koi8-r": "Отчёт.pdf",
    "koi8-u": "Звіт.pdf",
    "gb2312": "报告.pdf",
    "gbk": "報告.pdf",
    "gb18030": "报告㐀.pdf",
    "big5": "報告書.pdf",
    "euc-jp": "見積書.pdf",
    "shift_jis": "見積書 表.pdf",
    "windows-31j": "①見積㈱.pdf",
    "iso-2022-jp": "見積書の件 明日.pdf",
    "euc-kr": "보고서.pdf",
    "ks_c_5601-1987": "보고서.pdf",
    "iso-2022-kr": "보고서.pdf",
    "tis-620": "รายงาน.pdf",
    "utf-7": "Größe 見積.pdf",
}
_PYTHON = {"windows-31j": "cp932"}


def encoded(name: str, charset: str) -> bytes:
    return name.encode(_PYTHON.get(charset, charset))


def word(name: str, charset: str, kind: str) -> str:
    raw = encoded(name, charset)
    if kind == "B":
        return f"=?{charset}?B?{base64.b64encode(raw).decode()}?="
    return f"=?{charset}?Q?{''.join(f'={each:02X}' for each in raw)}?="


@pytest.mark.parametrize("charset", NAMES)
@pytest.mark.parametrize("kind", ["B", "Q"])
@pytest.mark.parametrize("where", [("filename",), ("name", "filename")])
def test_a_name_in_an_encoded_word(charset: str, kind: str, where: tuple[str, ...]) -> None:
    name = NAMES[charset]
    parameter = f'="{word(name, charset, kind)}"'
    defects, names = defects_and_names(*(f"{key}{parameter}" for key in where))
    assert defects <= {"file-name-encoded-word"}
    assert names[0] == name


@pytest.mark.parametrize("charset", NAMES)
def test_a_name_by_rfc_2231_beside_an_encoded_word(charset: str) -> None:
    name = NAMES[charset]
    extended = f"filename*={charset}''{quote(encoded(name, charset))}"
    for old in ((), (f'name="{word(name, charset, "B")}"',)):
        defects, names = defects_and_names(*old, extended)
        assert defects <= {"file-name-encoded-word"}
        assert name in names


def test_words_in_several_lines() -> None:
    first, second = (word(each, "iso-2022-jp", "B") for each in ("見積書の件", "明日.pdf"))
    defects, names = defects_and_names(f'filename="{first}\r\n\t{second}"')
    assert (defects, names[0]) == ({"file-name-encoded-word"}, "見積書の件明日.pdf")


def test_signs_of_one_vendor_in_a_japanese_name() -> None:
    raw = b"\x1b$B-!8+@Q\x1b(B.pdf"  # NEC's row 13, which ISO-2022-JP has not
    defects, names = defects_and_names(f'filename="=?ISO-2022-JP?B?{base64.b64encode(raw).decode()}?="')
    assert defects == {"file-name-encoded-word"}
    assert "\x1b" not in names[0]


def test_a_japanese_name_without_any_encoding() -> None:
    defects, names = defects_and_names('filename="' + "見積.pdf".encode("iso-2022-jp").decode("latin-1") + '"')
    assert "file-name-control" not in defects  # but the parentheses in its escapes may be comments
    assert names[0] == "見積.pdf"


def test_marks_of_direction_in_a_hebrew_name() -> None:
    name = "\u200fדוח\u200e 2026.pdf"
    defects, _ = defects_and_names(f"filename*=utf-8''{quote(name)}")
    assert "file-name-control" not in defects


@pytest.mark.parametrize("name", ["invoice\u202efdp.exe", "a\0.pdf", "a\x1b[2J.pdf", "a\u2066b.exe"])
@pytest.mark.parametrize("kind", ["B", "Q"])
def test_deceptive_names_are_told_of(name: str, kind: str) -> None:
    defects, _ = defects_and_names(f'filename="{word(name, "utf-8", kind)}"')
    assert "file-name-control" in defects


@pytest.mark.parametrize("text", ['a"; boundary="x', 'a"; name="b.exe', 'a"', "a;b\\"])
def test_a_word_that_changes_the_parameters_has_several_readings(text: str) -> None:
    value = f'multipart/mixed; boundary="b"; name="{word(text, "utf-8", "B")}"'.encode()
    assert not parse_structured(value).is_clean or '"' not in text
    assert not parse_structured(b'multipart/mixed; boundary="' + word("b", "utf-8", "B").encode() + b'"').is_clean


@given(st.binary(max_size=60), st.sampled_from([*NAMES, "utf-16", "x-unknown", "\udcff", ""]))
def test_any_bytes_in_any_character_set(raw: bytes, charset: str) -> None:
    text_in(raw, charset.encode("utf-8", "surrogateescape"))
    value = b'attachment; filename="=?' + charset.encode("utf-8", "replace") + b"?B?" + base64.b64encode(raw) + b'?="'
    names, _ = file_names([parse_structured(value)], [])
    assert all(name.encode() for name in names)
