"""TNEF, Outlook's winmail.dat (MS-OXTNEF): bodies and attachments of the message in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailgate.inspect import member_names
from mailgate.inspect.members import Budget, LimitExceededError

MAGIC = b"\x78\x9f\x3e\x22"
_MESSAGE_PROPERTIES, _BODY, _ATTACHMENT = 0x9003, 0x800C, 0x9005
_ATTACH_RENDER, _ATTACH_DATA, _ATTACH_TITLE, _ATTACH_FILE_NAME = 0x9002, 0x800F, 0x8010, 0x9001
_PLAIN, _RTF, _HTML = 0x1000, 0x1009, 0x1013  # MS-OXPROPS: PidTagBody, PidTagRtfCompressed, PidTagHtml
_OBJECT = 0x3701  # PidTagAttachDataObject, PidTagAttachDataBinary
_NAMES = (0x3707, 0x3704, 0x3001)  # long, short and display name
_MOST_FILES = 1000
_MOST_PROPERTIES = 2000
_FIXED_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_PRESET = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)  # MS-OXRTFCP 2.1.2.1
_WINDOW = 4096
_LZFU, _STORED = b"LZFu", b"MELA"
_RTF_WORD = re.compile(rb"\\(?:\*|[a-zA-Z]{1,32}-?[0-9]{0,10} ?|'([0-9a-fA-F]{2})|([\\{}])|[^a-zA-Z'])|[{}\r\n]+")
File = tuple[str, bytes]  # name, content


@dataclass(slots=True)
class _Attachment:
    names: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)

    def files(self) -> Iterator[File]:
        """Every content under every name: they are joined where they are gathered."""
        for content in self.contents:
            for name in dict.fromkeys(self.names or [""]):
                yield name, content


def tnef_files(data: bytes, budget: Budget) -> Iterator[File]:
    """The bodies (plain, HTML, RTF and the text in it) and the attachments of the message, attached messages as TNEF.
    Raises LimitExceededError."""
    position, count = 6, 0
    attached = _Attachment()
    while position + 9 <= len(data):
        attribute = int.from_bytes(data[position + 1 : position + 3], "little")
        length = int.from_bytes(data[position + 5 : position + 9], "little")
        value = data[position + 9 : position + 9 + length]
        position += 9 + length + 2
        if attribute == _ATTACH_RENDER:
            yield from attached.files()
            attached = _Attachment()
            count += 1
            if count > _MOST_FILES:
                raise LimitExceededError("too many attachments in TNEF")
        elif attribute in (_ATTACH_TITLE, _ATTACH_FILE_NAME):
            attached.names += member_names.readings(value.split(b"\0", 1)[0])
        elif attribute == _ATTACH_DATA:
            attached.contents.append(value)
        elif attribute == _ATTACHMENT:
            _take_properties(attached, value)
        elif attribute == _BODY:
            yield "", value.rstrip(b"\0")
        elif attribute == _MESSAGE_PROPERTIES:
            yield from _bodies(value, budget)
    yield from attached.files()


def _take_properties(attached: _Attachment, value: bytes) -> None:
    for tag, item in _mapi_properties(value):
        if tag in _NAMES:
            attached.names += _texts(item)
        elif tag == _OBJECT:
            attached.contents += [item[16:], item]  # behind the interface identifier


def _bodies(value: bytes, budget: Budget) -> Iterator[File]:
    for tag, item in _mapi_properties(value):
        if tag == _RTF:
            rich = decompressed_rtf(item, budget)
            if rich:
                yield "", rich
                yield "", rtf_text(rich)
        elif tag in (_HTML, _PLAIN):
            yield "", item
            if item[1:2] == b"\0":
                yield "", item.decode("utf-16-le", "replace").encode("utf-8")


def _texts(item: bytes) -> tuple[str, ...]:
    """A name in UTF-16, or in the character set of the writer."""
    if b"\0" in item.rstrip(b"\0") or item[1:2] == b"\0":
        name = item.decode("utf-16-le", "replace").split("\0", 1)[0]
        return (member_names.shortened(name),) if name else ()
    return member_names.readings(item.split(b"\0", 1)[0])


def _mapi_properties(value: bytes) -> Iterator[tuple[int, bytes]]:
    """(property id, value) of the variable-length properties (MS-OXTNEF 2.1.3.4)."""
    position = 4
    for _ in range(min(int.from_bytes(value[:4], "little"), _MOST_PROPERTIES)):
        if position + 4 > len(value):
            return
        kind = int.from_bytes(value[position : position + 2], "little")
        tag = int.from_bytes(value[position + 2 : position + 4], "little")
        position += 4
        if tag >= 0x8000:
            position = _skip_property_name(value, position)
        count = 1
        if kind & 0x1000 or kind in (0x0D, 0x1E, 0x1F, 0x102):
            count = int.from_bytes(value[position : position + 4], "little")
            position += 4
        fixed = _FIXED_SIZES.get(kind & 0xFFF)
        if fixed is not None:
            position += fixed * count
            continue
        for _ in range(min(count, _MOST_PROPERTIES)):
            length = int.from_bytes(value[position : position + 4], "little")
            yield tag, value[position + 4 : position + 4 + length]
            position += 4 + (length + 3 & ~3)
            if position > len(value):
                return


def _skip_property_name(value: bytes, position: int) -> int:
    kind = int.from_bytes(value[position + 16 : position + 20], "little")
    if kind == 0:
        return position + 24
    length = int.from_bytes(value[position + 20 : position + 24], "little")
    return position + 24 + (length + 3 & ~3)


def decompressed_rtf(data: bytes, budget: Budget) -> bytes:
    """Compressed RTF (MS-OXRTFCP 2.2) as far as it goes, whatever its header says of sizes; empty where it is none.
    Raises LimitExceededError."""
    form = data[8:12]
    if form == _STORED:
        return data[16:]
    if form != _LZFU:
        return b""
    out = bytearray(_PRESET)
    at = 16
    while at < len(data):
        if len(out) > budget.data:
            raise LimitExceededError("too much unpacked data")
        control = data[at]
        at += 1
        if not control:
            out += data[at : at + 8]
            at += 8
            continue
        for bit in range(8):
            if not control >> bit & 1:
                out += data[at : at + 1]
                at += 1
                continue
            pair = int.from_bytes(data[at : at + 2], "big")
            at += 2
            distance = (len(out) - (pair >> 4)) % _WINDOW
            if at > len(data) or not distance:  # a reference to where it stands ends the data
                budget.take_data(len(out))
                return bytes(out[len(_PRESET) :])
            _copy(out, distance, (pair & 0x0F) + 2)
    budget.take_data(len(out))
    return bytes(out[len(_PRESET) :])


def _copy(out: bytearray, distance: int, length: int) -> None:
    start = len(out) - distance
    if start < 0:
        out += bytes(min(length, -start))  # the window begins with nothing behind the preset text
        length -= min(length, -start)
        start = 0
    piece = out[start : start + length]
    out += (piece * (length // max(1, len(piece)) + 1))[:length] if piece else b""


def rtf_text(rich: bytes) -> bytes:
    """What stands between the control words, where Outlook keeps HTML as well (MS-OXRTFEX): so that a scanner sees it
    as it was before it became RTF."""

    def plain(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes.fromhex(match[1].decode("ascii"))
        return match[2] or (b"\n" if match[0].startswith((b"\\par", b"\\line")) else b"")

    return _RTF_WORD.sub(plain, rich)
