"""Objects in PowerPoint 97 files, and winmail.dat in archives."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.containers import listing
from mailgate.inspect.members import Budget, Listing
from mailgate.model.part_class import PartClass
from tests.inspect_mime.messages_of_parts import PAYLOAD, tnef
from tests.inspect_scan.ole2 import ole2
from tests.inspect_scan.test_containers import zipped


def record(kind: int, body: bytes, flags: int = 0) -> bytes:
    """MS-PPT 2.3.1."""
    return flags.to_bytes(2, "little") + kind.to_bytes(2, "little") + len(body).to_bytes(4, "little") + body


def slides(*records: bytes) -> bytes:
    return ole2("PowerPoint Document", record(0x03E8, bytes(40), 15) + b"".join(records))


def packed(content: bytes) -> bytes:
    return record(0x1011, len(content).to_bytes(4, "little") + zlib.compress(content), 0x10)


@pytest.mark.parametrize("make", [packed, lambda content: record(0x1011, content)], ids=["packed", "plain"])
def test_an_object_is_scanned_by_itself(make: object) -> None:
    assert callable(make)
    found = listing(slides(make(PAYLOAD), make(b"MZ" + bytes(60))), Budget())
    assert not found.exceeded
    assert {content for _, content in found.unreached} >= {PAYLOAD, b"MZ" + bytes(60)}


def test_a_vba_project_in_it_is_a_macro() -> None:
    (member, *_) = listing(slides(packed(ole2("_VBA_PROJECT", bytes(512)))), Budget()).members
    assert PartClass.MACRO in member.classes


def test_a_broken_object_is_read_as_far_as_it_goes() -> None:
    body = (99).to_bytes(4, "little") + zlib.compress(PAYLOAD * 50)[:-20] + b"\xff" * 20
    found = listing(slides(record(0x1011, body, 0x10)), Budget())
    assert any(content.startswith(PAYLOAD) for _, content in found.unreached)


@given(st.binary(max_size=300))
def test_any_stream_is_listed(rest: bytes) -> None:
    assert isinstance(listing(slides(rest, b"\x10\0\x11\x10" + rest), Budget()), Listing)


def test_a_winmail_dat_in_an_archive_is_opened() -> None:
    found = listing(zipped(("winmail.dat", tnef(PAYLOAD))), Budget())
    assert not found.members[0].unopened
    assert [(member.name, member.path) for member in found.members] == [("winmail.dat", "1"), ("program.bin", "1/1")]
    assert PAYLOAD in {content for _, content in found.unreached}
