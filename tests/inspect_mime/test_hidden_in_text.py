"""Text that hides something by how it is written: UTF-16 that nothing declares, references, CDATA, Office XML."""

from __future__ import annotations

import base64
import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import embedded, references
from mailgate.inspect.mime import Views, views
from tests.inspect_mime.messages_of_parts import PAYLOAD, TEXT, base64_lines, message, multipart, part

PROGRAM = b"MZ" + PAYLOAD
LETTERS = base64.b64encode(PROGRAM)
SCRIPT = b'\' open me\r\nSet shell = CreateObject("WScript.Shell")\r\nshell.Run "calc.exe"\r\n'


def attached(data: bytes, name: bytes = b"open.vbs") -> Views:
    octets = b"application/octet-stream; name=" + name
    return views(message(multipart([TEXT, part(octets, b"base64", base64_lines(data))])))


def contents(found: Views) -> set[bytes]:
    return {each.data for each in found.parts}


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [SCRIPT.decode(), "'ß " + SCRIPT.decode(), SCRIPT.decode() + "\u4e2d\u6587" * 2000])
def test_utf16_without_mark_or_charset_is_read(charset: str, text: str) -> None:
    found = attached(text.encode(charset))
    (plain,) = (each for each in found.parts if each.data == text.encode())
    assert plain.name == "open.vbs"
    assert "charset-unusual" in {defect.name for defect in found.defects}


def test_what_is_inside_utf16_is_found_too() -> None:
    page = f"<a href='data:application/x;base64,{LETTERS.decode()}'>open</a>"
    assert PROGRAM in contents(attached(page.encode("utf-16-le"), b"a.html"))


@pytest.mark.parametrize(
    "data",
    [
        SCRIPT,
        bytes(400),
        b"a\0b\0",
        b"".join(bytes((value % 7, 0)) for value in range(500)),
        b"R\0I\0" + bytes(range(256)) * 4,
        SCRIPT.decode().encode("utf-32-le"),
    ],
    ids=["text", "zeros", "short", "numbers", "binary", "utf-32"],
)
def test_other_bytes_are_not_taken_for_utf16(data: bytes) -> None:
    assert "charset-unusual" not in {defect.name for defect in attached(data).defects}


def decimal(data: bytes) -> bytes:
    return b"".join(b"&#%d;" % value for value in data)


def hexadecimal(data: bytes) -> bytes:
    return b"".join(b"&#x%X;" % value for value in data)


LINES = base64_lines(PROGRAM)
URI = b"data:application/x;base64," + LETTERS
XML = {
    "binary-data": b'<w:binData w:name="editdata.mso" xml:space="preserve">' + LINES + b"</w:binData>",
    "package": b"<pkg:part pkg:name='/a.bin'><pkg:binaryData>\r\n" + LINES + b"\r\n</pkg:binaryData></pkg:part>",
    "cdata": b"<a><![CDATA[" + LETTERS + b"]]></a>",
    "line-end-references": b"<a>" + LINES.replace(b"\r\n", b"&#13;&#10;") + b"</a>",
    "line-end-references-hex": b"<a>" + LINES.replace(b"\r\n", b"&#xD;\n") + b"</a>",
    "decimal": b"<a>" + decimal(LETTERS) + b"</a>",
    "hexadecimal": b"<a>" + hexadecimal(LETTERS) + b"</a>",
    "leading-zeros": b"<a>" + decimal(LETTERS).replace(b"#", b"#" + b"0" * 50) + b"</a>",
    "no-semicolon": b"<a>" + decimal(LETTERS).replace(b";", b"") + b"</a>",
    "each-tenth": b"<a>" + re.sub(rb"(.{9})(.)", lambda m: m[1] + decimal(m[2]), LETTERS) + b"</a>",
    "each-letter-a": b"<a>" + LETTERS.replace(b"A", b"&#x41;") + b"</a>",
    "uri": b"<a href='" + decimal(b"data:application/x;base64," + LETTERS) + b"'>open</a>",
    "uri-scheme": b"<a href='&#100;ata&#58;application/x;base64," + LETTERS + b"'>open</a>",
    "uri-quotes": b'<a href=\'data:application/x;a="b/c" ; BASE64 ,' + LETTERS + b"'>open</a>",
    "named": b"<a href='data&colon;application/x&semi;base64&comma;" + LETTERS + b"'>open</a>",
    "uri-blanks": b"<a href='data:application/x;base64," + LINES + b"'>open</a>",
    "svg-script": b"<svg xmlns='http://www.w3.org/2000/svg'><script><![CDATA[location='data:application/x;base64,"
    + LETTERS
    + b"'//]]></script></svg>",
    "svg-atob": b"<svg><script type='text/ecmascript'><![CDATA[var a = atob('"
    + LETTERS[:60]
    + b"' + '"
    + LETTERS[60:]
    + b"');]]></script></svg>",
    "svg-script-in-references": b"<svg><script>"
    + decimal(b"var a = atob('" + LETTERS[:60] + b"' + '" + LETTERS[60:] + b"');")
    + b"</script></svg>",
    "svg-image": b"<svg><image xlink:href='data:image/png;base64," + LETTERS + b"'/></svg>",
    "svg-foreign": b"<svg><foreignObject><![CDATA[<a href=" + URI + b">]]></foreignObject></svg>",
    "frame": b'<iframe srcdoc="' + html.escape(f"<a href='{URI.decode()}'>").encode() + b'">',
}


@pytest.mark.parametrize("text", XML)
def test_data_in_xml_and_html_is_found(text: str) -> None:
    found = views(message(part(b"text/html", b"", XML[text])))
    assert PROGRAM in contents(found)


def test_a_text_that_is_spelled_in_references_is_read() -> None:
    page = b'<iframe srcdoc="' + hexadecimal(b"<script>" + SCRIPT + b"</script>") + b'"></iframe>'
    assert b"<script>" + SCRIPT + b"</script>" in contents(views(message(part(b"text/html", b"", page))))


JAPANESE = "\u65e5\u672c\u8a9e\u306e\u30e1\u30fc\u30eb"


@pytest.mark.parametrize(
    "page",
    [
        b"<p>It&#39;s 5&#160;000&#8364; &#8211; write to me&#64;a.example</p>" * 20,
        b"<p>" + "".join(f"&#{ord(each)};" for each in JAPANESE * 20).encode() + b"</p>",
        b"<a href='" + decimal(b"mailto:eve@a.ex") + b"'>me</a>",
    ],
    ids=["signs", "japanese", "address"],
)
def test_ordinary_references_yield_no_file(page: bytes) -> None:
    assert contents(views(message(part(b"text/html", b"", page)))) == {page}


PIECES = st.sampled_from(
    [b"&#", b"x", b"0", b"65", b"41", b";", b"&#65;", b"&#x41", b"data:", b"a/b;base64,", b"QUJD", b"<"]
)


@given(st.lists(PIECES | st.binary(max_size=3)).map(b"".join))
def test_any_text_is_searched(text: bytes) -> None:
    plain = references.resolved(text)
    assert len(plain) <= len(text)
    assert all(len(found) <= len(text) for found in references.spelled(text))
    list(embedded.hidden(text))
    list(embedded.in_plain_charset(text, ("utf-16", "utf-7", "no such")))


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), min_size=1))
def test_references_stand_for_what_browsers_show(text: str) -> None:
    for write in (decimal, hexadecimal):
        assert references.resolved(write(text.encode())) == text.encode()
        assert html.unescape(write(text.encode()).decode()) == text
