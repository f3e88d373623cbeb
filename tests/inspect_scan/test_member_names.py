"""What archives call their members, in the character sets of the programs that write them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.containers import ContainerLister, container_reports, listing
from mailgate.inspect.member_names import LONGEST, readings, shortened
from mailgate.inspect.members import Budget
from mailgate.model.verdict import PartReport, Verdict
from tests.inspect_scan.archive_samples import arj_file
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.inspect_scan.test_container_kinds import cabinet, rar4

NAMES = [
    ("Müller Rechnung.pdf", "cp437"),
    ("Größe Übersicht.docx", "cp850"),
    ("Größe Übersicht.docx", "cp1252"),
    ("Ärger.txt", "latin-1"),
    ("naïve café.txt", "cp850"),
    ("Счет за май.pdf", "cp866"),
    ("Счет за май.pdf", "cp1251"),
    ("請求書.pdf", "cp932"),
    ("测试文件.txt", "gb18030"),
    ("u\u0308ber.txt", "utf-8"),
    ("Žluťoučký.txt", "cp1250"),
]


def zip_file(name: bytes, content: bytes = b"text") -> bytes:
    """Without the flag for UTF-8, as Explorer writes it."""
    made = io.BytesIO()
    stand_in = "@" * len(name)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(stand_in, content)
    return made.getvalue().replace(stand_in.encode(), name)


def tar_file(name: bytes, content: bytes = b"text") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def gzip_file(name: bytes, content: bytes = b"text") -> bytes:
    plain = gzip.compress(content)
    return plain[:3] + b"\x08" + plain[4:10] + name + b"\0" + plain[10:]


def lzh_file(name: bytes, content: bytes = b"text") -> bytes:
    """Stored, with a header of level 0."""
    body = b"-lh0-" + len(content).to_bytes(4, "little") * 2 + bytes(4) + b"\x20\0" + bytes((len(name),)) + name
    body += _crc16(content).to_bytes(2, "little")
    return bytes((len(body), sum(body) & 0xFF)) + body + content + b"\0"


def _crc16(content: bytes) -> int:
    value = 0
    for octet in content:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


WRITERS = {
    "zip": zip_file,
    "tar": tar_file,
    "gz": gzip_file,
    "rar": lambda name: rar4(name, b"text"),
    "cab": lambda name: cabinet(name, b"text"),
    "arj": lambda name: arj_file(name, b"text"),
    "lzh": lzh_file,
}


@pytest.mark.parametrize(("name", "charset"), NAMES, ids=[charset for _, charset in NAMES])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_name_in_any_character_set_is_read_as_its_writer_meant_it(kind: str, name: str, charset: str) -> None:
    found = listing(WRITERS[kind](name.encode(charset)), Budget())
    assert not (found.exceeded or found.unopened)
    (member,) = found.members
    assert name in member.names
    assert member.name == member.names[0]


@pytest.mark.parametrize(("name", "charset"), NAMES, ids=[charset for _, charset in NAMES])
def test_the_likeliest_reading_is_the_one_that_is_shown(name: str, charset: str) -> None:
    assert readings(name.encode(charset))[0] == name


def test_every_reading_reaches_the_rules_and_survives_every_protocol() -> None:
    lister = ContainerLister()
    data = zip_file("Счет за май.exe".encode("cp866"))
    found = lister({"d": data})["d"]
    lister.close()
    container = PartReport("2", "a.zip", "", "application/zip", 9, "d", Verdict.CLEAN)
    member = container_reports(container, found)[1]
    assert "Счет за май.exe" in member.names
    assert all(name.endswith(".exe") for name in member.names)
    json.dumps(msgspec.to_builtins(member), ensure_ascii=False).encode("utf-8")


def test_an_encrypted_member_with_umlauts_is_encrypted() -> None:
    plain = encrypted_zip("@@@@@.txt", b"text")
    found = listing(plain.replace(b"@@@@@", "M\u00fcnch".encode("cp437")), Budget())
    assert [(each.name, each.is_encrypted) for each in found.members] == [("Münch.txt", True)]


@given(st.binary(max_size=64))
def test_any_bytes_have_a_reading_that_utf8_can_carry(raw: bytes) -> None:
    found = readings(raw)
    assert bool(found) is bool(raw)
    for name in found:
        name.encode("utf-8")
    assert len(set(found)) == len(found) <= 6


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: not set(raw) & set(b"\0/\\")))
def test_no_name_stops_the_listing(raw: bytes) -> None:
    for write in (zip_file, tar_file, lambda name: rar4(name, b"text")):
        msgspec.msgpack.encode(listing(write(raw), Budget()))


def test_what_is_too_long_keeps_both_ends() -> None:
    name = "Rechnung.pdf" + " " * 4000 + ".js"
    for kept in (shortened(name), *readings(name.encode()), *readings(("ü" + name).encode("cp437"))):
        assert len(kept) <= LONGEST
        assert kept.endswith(" .js")
    assert shortened(name).startswith("Rechnung.pdf ")


def test_half_of_a_surrogate_pair_in_a_name_of_7zip() -> None:
    from tests.inspect_scan.test_containers import with_libarchive

    plain = with_libarchive("7zip", "ab.txt", b"text", "compression=store")
    name = "ab.txt".encode("utf-16-le")
    at = plain.rindex(name)
    broken = plain[:at] + b"\x00\xd8" + plain[at + 2 :]
    header = broken[-int.from_bytes(broken[20:28], "little") :]
    start = broken[12:28] + zlib.crc32(header).to_bytes(4, "little")
    fixed = broken[:8] + zlib.crc32(start).to_bytes(4, "little") + start + broken[32:]
    found = listing(fixed, Budget())
    msgspec.msgpack.encode(found)
    assert len(found.members) == 1
