"""Containers that Python has no writer for, built by hand: RAR, cabinets, RTF objects, Outlook messages."""

from __future__ import annotations

import struct
import zlib

import pytest

from mailgate.inspect.containers import is_container, listing
from mailgate.inspect.members import Budget, Member
from mailgate.model.part_class import PartClass
from tests.inspect_scan.ole2 import ole2

PROGRAM = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(400)


def rar4(name: bytes, content: bytes, flags: int = 0) -> bytes:
    """One stored member (RAR 4.x technote); `flags` of its header, 4 for encrypted."""

    def block(kind: int, block_flags: int, fields: bytes) -> bytes:
        head = struct.pack("<BHH", kind, block_flags, 7 + len(fields)) + fields
        return (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + head

    sizes = struct.pack("<II", len(content), len(content))
    fields = sizes + struct.pack("<BIIBBHI", 2, zlib.crc32(content), 0, 20, 0x30, len(name), 32) + name
    return b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000 | flags, fields) + content


def rar5(name: bytes, content: bytes) -> bytes:
    """One stored member (RAR 5.0 archive format)."""

    def number(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes((*out, value))

    def block(fields: bytes) -> bytes:
        head = number(len(fields)) + fields
        return zlib.crc32(head).to_bytes(4, "little") + head

    size = number(len(content))
    member = bytes((2, 2)) + size + bytes((4,)) + size + bytes((32,)) + zlib.crc32(content).to_bytes(4, "little")
    member += bytes((0, 0)) + number(len(name)) + name
    return b"Rar!\x1a\x07\x01\0" + block(bytes((1, 0, 0))) + block(member) + content + block(bytes((5, 0, 0)))


def cabinet(name: bytes, content: bytes) -> bytes:
    """One stored member (MS-CAB 2)."""
    file = struct.pack("<IIHHHH", len(content), 0, 0, 0, 0, 32) + name + b"\0"
    data_at = 36 + 8 + len(file)
    data = struct.pack("<IHH", 0, len(content), len(content)) + content
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, data_at + len(data), 0, 44, 0, 3, 1, 1, 1, 0, 0, 0)
    return head + struct.pack("<IHH", data_at, 1, 0) + file + data


def rtf(content: bytes) -> bytes:
    """An object of class Package (MS-OLEDS 2.2.5) that holds a file."""
    strings = b"photo.jpg\0C:\\photo.jpg\0" + bytes(8) + b"C:\\photo.jpg\0"
    native = b"\2\0" + strings + len(content).to_bytes(4, "little") + content
    head = struct.pack("<III", 0x501, 2, 8) + b"Package\0" + bytes(8)
    return (
        b"{\\rtf1{\\object\\objemb{\\*\\objdata "
        + (head + struct.pack("<I", len(native)) + native).hex().encode()
        + b"}}}"
    )


def only_member(container: bytes) -> Member:
    assert is_container(container)
    (member,) = listing(container, Budget()).members
    return member


@pytest.mark.parametrize(
    "container",
    [rar4(b"invoice.pdf", PROGRAM), rar5(b"invoice.pdf", PROGRAM), cabinet(b"invoice.pdf", PROGRAM)],
    ids=["rar4", "rar5", "cab"],
)
def test_a_renamed_program_in_a_container_of_windows(container: bytes) -> None:
    member = only_member(container)
    assert (member.name, member.size, member.is_encrypted) == ("invoice.pdf", len(PROGRAM), False)
    assert PartClass.EXECUTABLE in member.classes


def test_an_encrypted_member_of_a_rar_file() -> None:
    member = only_member(rar4(b"secret.exe", PROGRAM, flags=4))
    assert (member.name, member.is_encrypted) == ("secret.exe", True)
    assert PartClass.ENCRYPTED in member.classes


def test_a_rar_file_whose_directory_is_encrypted_is_encrypted() -> None:
    hidden = rar4(b"a", b"b").replace(b"\x73\0\0", b"\x73\x80\0", 1)
    head = hidden[9 : 9 + 11]
    fixed = hidden[:7] + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + hidden[9:]
    assert PartClass.ENCRYPTED in listing(fixed, Budget()).classes


def test_a_program_packed_into_an_rtf_text() -> None:
    member = only_member(rtf(PROGRAM))
    assert member.name == "photo.jpg"
    assert PartClass.EXECUTABLE in member.classes


def test_a_program_in_an_rtf_text_as_it_is_and_behind_blanks() -> None:
    (member,) = listing(rtf(PROGRAM), Budget()).members
    digits = rtf(PROGRAM).partition(b"objdata ")[2].rstrip(b"}")
    plain = bytes.fromhex(digits.decode())
    for text in (b"\r\n " + rtf(PROGRAM), b"{\\rtf1{\\object{\\*\\objdata\\bin%d " % len(plain) + plain + b"}}}"):
        assert only_member(text) == member


def test_a_program_attached_to_an_outlook_message() -> None:
    assert PartClass.EXECUTABLE in only_member(ole2("__substg1.0_37010102", PROGRAM)).classes
