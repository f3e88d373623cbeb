"""File names in encoded words, as mail programs all over the world write them: no defect but that they are such."""

from __future__ import annotations

import base64

import pytest

from mailgate.inspect import mime


def word(text: str, charset: str) -> bytes:
    return b"=?%s?B?%s?=" % (charset.encode(), base64.b64encode(text.encode(charset)))


def named(disposition: bytes, content_type: bytes) -> tuple[tuple[str, ...], set[str]]:
    head = b'MIME-Version: 1.0\r\nContent-Type: application/pdf; name="%s"\r\n'
    head += b'Content-Disposition: attachment; filename="%s"'
    views = mime.views(head % (content_type, disposition) + b"\r\n\r\n%PDF-1.4\r\n")
    return views.parts[0].names, {defect.name for defect in views.defects if defect.name.startswith(("file", "dup"))}


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        *(
            ("\u898b\u7a4d.pdf", "iso-2022-jp"),
            ("\u898b\u7a4d(1).pdf", "iso-2022-jp"),
            ("\uacac\uc801.pdf", "iso2022_kr"),
        ),
        *(
            ("\u30bd\u30d5\u30c8\u8868.pdf", "shift_jis"),
            ("\u5408\u540c.pdf", "gb2312"),
            ("\u5831\u50f9\u55ae.pdf", "big5"),
        ),
        *(("\u0434\u043e\u0433\u043e\u0432\u043e\u0440.doc", label) for label in ("koi8-r", "windows-1251")),
        *(
            ("Pr\u00fcfung (2).pdf", "utf-8"),
            ("Pr\u00fcfung; neu.pdf", "iso-8859-1"),
            ("\u0e44\u0e17\u0e22.pdf", "tis-620"),
        ),
    ],
)
def test_an_encoded_word_is_one_name(name: str, charset: str) -> None:
    names, defects = named(word(name, charset), word(name, charset))
    assert names[0] == name
    assert defects == {"file-name-encoded-word"}


@pytest.mark.parametrize(
    ("disposition", "content_type", "defect"),
    [
        (word("a.pdf", "utf-8"), b"a.exe", "duplicate-file-name"),
        (word("a.pdf", "utf-8"), word("a.exe", "utf-8"), "duplicate-file-name"),
        (word("a\u202efdp.exe", "utf-8"), word("a\u202efdp.exe", "utf-8"), "file-name-control"),
        (word("a\x1bb.exe", "utf-8"), word("a\x1bb.exe", "utf-8"), "file-name-control"),
        (b"a\x1b.exe", b"a\x1b.exe", "file-name-control"),
    ],
)
def test_what_is_odd_stays_a_defect(disposition: bytes, content_type: bytes, defect: str) -> None:
    assert defect in named(disposition, content_type)[1]


def test_readings_stay_names_for_rules() -> None:
    assert {"a.exe;.txt", "a.exe"} <= set(named(word("a.exe;.txt", "utf-8"), b"x")[0])
