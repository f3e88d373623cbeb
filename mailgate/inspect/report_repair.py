"""Pure: aggregate reports whose XML is not well-formed, mended. The faults are those that reporters really make: what
they report can be told all the same, since the elements of a report, and which stands in which, are known."""

from __future__ import annotations

import re

_ENCODING = re.compile(rb"<\?xml\b[^<>]{0,100}?\bencoding\s*=\s*[\"']([A-Za-z0-9_-]{1,20})[\"']")
_KNOWN = re.compile(
    rb"utf-?8|utf-?16(?:le|be)?|iso-8859-[0-9]{1,2}|latin-?1|(?:windows-|cp)125[0-8]|us-ascii|koi8-[ru]"
    rb"|shift_jis|euc-jp|iso-2022-jp|gb2312|gbk|gb18030|big5|euc-kr",
    re.I,
)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBERED = re.compile(r"&#(?:([0-9]{1,7})|x([0-9A-Fa-f]{1,6}));")
_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_TOKEN = re.compile(
    r"<(?P<slash>/?)(?:[A-Za-z_][\w.-]{0,40}:)?(?P<name>[A-Za-z_]{1,40})(?P<attributes>[\s/][^<>]*)?>"
    r"|(?P<comment><!--|-->)|<!\[CDATA\[|\]\]>"
)

_Elements = dict[str, "_Elements"]


def _texts(*names: str) -> _Elements:
    return {name: {} for name in names}


_RESULT = _texts("domain", "selector", "scope", "result", "human_result")
_REPORT: _Elements = {  # RFC 7489 appendix C, RFC 9990
    "version": {},
    "report_metadata": {
        **_texts("org_name", "email", "extra_contact_info", "report_id", "error", "generator"),
        "date_range": _texts("begin", "end"),
    },
    "policy_published": _texts("domain", "adkim", "aspf", "p", "sp", "np", "pct", "fo", "testing", "discovery_method"),
    "record": {
        "row": {
            **_texts("source_ip", "count"),
            "policy_evaluated": {**_texts("disposition", "dkim", "spf"), "reason": _texts("type", "comment")},
        },
        "identifiers": _texts("envelope_to", "envelope_from", "header_from"),
        "auth_results": {"dkim": _RESULT, "spf": _RESULT},
    },
}


def mended(xml: bytes) -> bytes:
    """As UTF-8, the elements of the first report in it and nothing else: what is not closed ends where it can't go on,
    what begins or ends nothing is text. As it was where the report breaks off anywhere but behind a
    record."""
    text = _decoded(xml)
    writing = _Writing()
    at = 0
    is_comment = False
    for token in _TOKEN.finditer(text):
        if not is_comment:
            writing.text(text[at : token.start()])
        at = token.end()
        if token["comment"]:
            is_comment = token["comment"] == "<!--"
        elif token["name"] and not is_comment and not writing.tag(token):
            writing.text(token[0])
        if writing.is_done:
            break
    return writing.document() or xml


class _Writing:
    """`_open` holds the elements that are open, each with what may stand in it."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._open: list[tuple[str, _Elements]] = []
        self.is_done = False

    def tag(self, token: re.Match[str]) -> bool:
        """False if it is none here."""
        name = token["name"].lower()
        depths = range(len(self._open), 0, -1)
        if token["slash"]:
            depth = next((depth for depth in depths if self._open[depth - 1][0] == name), 0)
            self._close(depth - 1 if depth else len(self._open))
            self.is_done = depth == 1
            return depth > 0
        if not self._open:
            return name == "feedback" and self._begin(name, _REPORT)
        depth = next((depth for depth in depths if name in self._open[depth - 1][1]), 0)
        if not depth:
            return False
        elements = self._open[depth - 1][1][name]
        self._close(depth)
        self._begin(name, elements)
        if (token["attributes"] or "").endswith("/"):
            self._close(depth)
        return True

    def text(self, text: str) -> None:
        """Only what stands in an element that has nothing but text."""
        if self._open and not self._open[-1][1]:
            text = _FORBIDDEN.sub("", _AMPERSAND.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;"))
            self._out += [_NUMBERED.sub(_character, text)] if text else []

    def document(self) -> bytes:
        if not self.is_done and self._out[-1:] != ["</record>"]:
            return b""
        self._close(0)
        return "".join(self._out).encode()

    def _begin(self, name: str, elements: _Elements) -> bool:
        self._open.append((name, elements))
        self._out.append(f"<{name}>")
        return True

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            self._out.append(f"</{self._open.pop()[0]}>")


def _decoded(xml: bytes) -> str:
    """By the byte order mark, by the first octets, by the declaration if it is true, as UTF-8, as what Windows makes
    of it."""
    declared = _ENCODING.search(xml[:200])
    if xml.startswith((b"\xff\xfe", b"\xfe\xff")):
        return xml.decode("utf-16", "replace")
    if xml[:2] in (b"<\0", b"\0<"):
        return xml.decode("utf-16-be" if xml[0] == 0 else "utf-16-le", "replace")
    for encoding in (declared[1] if declared else b"utf-8", b"utf-8"):
        if _KNOWN.fullmatch(encoding):
            try:
                return xml.decode(encoding.decode())
            except UnicodeDecodeError:
                continue
    return xml.decode("cp1252", "replace")


def _character(found: re.Match[str]) -> str:
    """A reference to a character that XML forbids is dropped; others stay."""
    number = int(found[1]) if found[1] else int(found[2], 16)
    return "" if number > 0x10FFFF or _FORBIDDEN.match(chr(number)) else found[0]
