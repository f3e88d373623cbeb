"""No archive and no disk image passes because each thought that the other had opened it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import signal
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import arj, containers, filetype, rar, readers, signatures
from mailgate.inspect.containers import container_reports, is_container, judged, listing
from mailgate.inspect.members import Budget, Listing
from mailgate.inspect.readers import Reader
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import PartReport, Unscanned, Verdict
from tests.inspect_scan.archive_samples import (
    arj_file,
    behind_skipped_frame,
    boot_sector,
    fixed_vhd,
    floppy,
    partitioned,
    rar4_blocks,
)
from tests.inspect_scan.test_container_kinds import cabinet, rar4, rar5
from tests.inspect_scan.test_containers import tarred, with_libarchive, zipped
from tests.support.messages import EICAR

ROW = [row for row in signatures.SIGNATURES if {PartClass.ARCHIVE, PartClass.DISK_IMAGE} & set(row[3])]
NOISE = random.Random(7).randbytes(60_000)


def report(data: bytes, name: str = "") -> PartReport:
    """As the inspection makes it of a part in which the scanner found nothing."""
    kind = filetype.detect(data, name)
    made = PartReport("2", name, "", kind.mime, len(data), "d", Verdict.CLEAN, classes=kind.classes)
    made = judged(made, kind.classes, readers.unopened(kind, readers.ASSUMED))
    return container_reports(made, listing(data, Budget()))[0] if is_container(data) else made


def everything(data: bytes, name: str = "") -> list[PartReport]:
    return container_reports(report(data, name), listing(data, Budget()))


@pytest.mark.parametrize("row", ROW, ids=lambda row: f"{row[2].partition('/')[2]}-{row[1][:8].hex()}")
def test_every_signature_of_an_archive_names_who_reads_it(row: signatures.Signature) -> None:
    assert row[2] in readers.READERS


def test_what_no_table_knows_is_opened_by_nobody() -> None:
    new = filetype.FileType("application/x-new", (PartClass.ARCHIVE,))
    assert readers.reader_of(new) is Reader.NOBODY
    assert "application/x-new" in readers.unopened(new, readers.ASSUMED)


def test_what_only_the_scanner_opens_it_must_be_known_to_open() -> None:
    for mime, reader in readers.READERS.items():
        kind = filetype.FileType(mime, (PartClass.ARCHIVE,))
        assert bool(readers.unopened(kind, frozenset({mime}))) is (reader is Reader.NOBODY)
        assert bool(readers.unopened(kind, frozenset())) is (reader is not Reader.GATEWAY)


def test_what_the_scanner_is_not_known_to_open_is_unpacked_here() -> None:
    plain = zipped(("a.txt", b"text"))
    assert listing(plain, Budget(), frozenset()).unreached == (("1", b"text"),)
    assert listing(plain, Budget(), frozenset({"application/zip"})).unreached == ()


SEVEN = with_libarchive("7zip", "readme.txt", NOISE)
ZIPPED = zipped(("r.bin", NOISE), ("readme.txt", b"hello"))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (SEVEN[:40_000], "a.7z.001"),
        (NOISE[:4000], "a.7z.002"),
        (NOISE[:4000], "a.r00"),
        (NOISE[:4000], "a.z01"),
        (SEVEN[:-9], "a.7z"),
        (tarred("a.bin", NOISE)[:9000], "a.tar"),
        (ZIPPED[:9000], "a.zip"),
        (gzip.compress(NOISE)[:9000], "a.gz"),
        (lzma.compress(NOISE)[:9000], "a.xz"),
        (bz2.compress(NOISE)[:9000], "a.bz2"),
        (lzma.compress(NOISE, format=lzma.FORMAT_ALONE)[:9000], "a.lzma"),
        (cabinet(b"a.bin", NOISE[:30_000])[:9000], "a.cab"),
        (with_libarchive("cpio_newc", "a.bin", NOISE)[:9000], "a.cpio"),
        (with_libarchive("iso9660", "a.bin", NOISE)[:60_000], "a.iso"),
        (with_libarchive("xar", "a.bin", NOISE)[:9000], "a.xar"),
        (with_libarchive("ar_bsd", "a.bin", NOISE)[:9000], "a.ar"),
        (rar4(b"a.bin", NOISE)[:9000], "a.rar"),
        (rar5(b"a.bin", NOISE)[:9000], "a.rar"),
        (rar4_blocks(b"a.txt", b"text", main_flags=1), "a.part1.rar"),
        (arj_file(b"a.txt", b"text")[:-20], "a.arj"),
        (arj_file(b"a.txt", b"text", flags=4), "a.arj"),
        (floppy(EICAR), "scan.img"),
        (floppy(EICAR), "scan.bin"),
        (partitioned(floppy(EICAR)), "scan.bin"),
        (fixed_vhd(partitioned(floppy(EICAR))), "scan.vhd"),
        (boot_sector(b"NTFS    ") + bytes(9000), "x"),
        (bytes(1080) + b"\x53\xef" + bytes(9000), "x"),
        (bytes(1024) + b"H+\0\4" + bytes(9000), "x"),
        (b"vhdxfile" + NOISE, "x"),
        (b"KDMV" + NOISE, "x"),
        (b"QFI\xfb" + NOISE, "x"),
        (b"hsqs" + NOISE, "x"),
        (b"MSWIM\0\0\0" + NOISE, "x"),
        (NOISE[:7] + b"**ACE**" + NOISE, "x"),
        (b"ZOO 2.10 Archive.\x1a\0\0\xdc\xa7\xc4\xfd" + NOISE, "x"),
        (b"\x1a\x08README.TXT\0\0\0" + NOISE, "x"),
        (b"SIT!\0\1\0\0\0\0rLau" + NOISE, "x"),
        (b"7kSt\xa0\x31\x83\xd3\x8c\xb2\x28\xb0\xd3zPQ" + NOISE, "x"),
        (b"\x45\x3d\xcd\x28" + NOISE, "x"),
        (NOISE, "secret.iso"),
    ],
)
def test_what_nobody_went_through_was_not_scanned(data: bytes, name: str) -> None:
    found = report(data, name)
    assert (found.verdict, found.reason) == (Verdict.NOT_SCANNED, Unscanned.LIMIT)
    assert found.detail.startswith(found.detected_type)
    assert any(each in found.classes for each in (PartClass.ARCHIVE, PartClass.DISK_IMAGE))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"070707 is the number of the house", "a.txt"),
        (b"BZhow to spell", "a.txt"),
        (b"BZh1 is a name", "a.txt"),
        (b"\x5d\0\0" + NOISE, "data.bin"),
        (b"ZOO tickets", "a.txt"),
        (b"CISO report", "a.txt"),
        (b"SIT! said the man", "a.txt"),
        (NOISE[:510] + b"\x55\xaa" + NOISE, "photo.bin"),
        (NOISE, "data.bin"),
        (b"\xff\xd8\xff\xe0" + NOISE + b"Rar!\x1a\x07\0" + NOISE, "photo.jpg"),
        (b"MZ" + bytes(100) + b"7z\xbc\xaf\x27\x1c" + NOISE, "unpack.bin"),
        (b"text that mentions Rar!\x1a\x07\x01\0", "a.txt"),
        (tarred("a.txt", b"text")[:1024], "no-end.tar"),
        (gzip.compress(b"text") + bytes(512), "padded.gz"),
        (gzip.compress(b""), "empty.gz"),
        (bz2.compress(b""), "empty.bz2"),
        (zipped(), "empty.zip"),
        (ZIPPED + b"signature behind it", "a.zip"),
        (b"MZ" + bytes(900) + ZIPPED, "sfx.exe"),
        (cabinet(b"a.bin", b"text") + b"signature", "a.cab"),
        (b"%PDF-1.7\n1 0 obj << /EmbeddedFile 9 0 R", "cut.pdf"),
    ],
)
def test_what_is_no_archive_or_a_whole_one_is_left_as_it_is(data: bytes, name: str) -> None:
    assert {each.verdict for each in everything(data, name)} == {Verdict.CLEAN}


@pytest.mark.parametrize(
    "data",
    [
        rar4(b"readme.txt", EICAR),
        rar5(b"readme.txt", EICAR),
        b"MZ" + bytes(70_000) + rar4(b"readme.txt", EICAR),
        b"\xff\xd8\xff" + NOISE + rar5(b"readme.txt", EICAR),
        b"%PDF-1.4\n" + NOISE + with_libarchive("7zip", "readme.txt", EICAR),
        b"BZh1" + NOISE + rar4(b"readme.txt", EICAR),
        zipped(("setup.exe", b"MZ" + bytes(200_000) + rar5(b"readme.txt", EICAR))),
        bz2.compress(b"harmless") + bz2.compress(EICAR),
        behind_skipped_frame(EICAR),
    ],
    ids=["rar4", "rar5", "sfx", "picture", "pdf", "front", "sfx-in-zip", "bz2-row", "skippable"],
)
def test_what_the_scanner_does_not_open_is_handed_to_it_member_by_member(data: bytes) -> None:
    found = listing(data, Budget())
    assert not (found.exceeded or found.unopened)
    assert len(found.members) <= 3
    assert any(EICAR in content for _, content in found.unreached)


def test_a_member_that_nobody_opens_was_not_scanned_the_others_were() -> None:
    first, *members = everything(zipped(("a.txt", b"text"), ("disk.wim", b"MSWIM\0\0\0" + NOISE)))
    assert first.verdict is Verdict.CLEAN
    assert [(each.name, each.verdict, each.reason) for each in members] == [
        ("a.txt", Verdict.CLEAN, None),
        ("disk.wim", Verdict.NOT_SCANNED, Unscanned.LIMIT),
    ]


def test_a_zip_file_whose_directory_names_what_is_elsewhere_is_one_volume_of_several() -> None:
    volume = bytearray(ZIPPED)
    end = volume.rindex(b"PK\5\6")
    volume[end + 4] = 1
    assert "one volume of several" in report(bytes(volume)).detail
    assert report(bytes(volume[1000:]), "a.zip").detected_type == "application/x-archive-volume"
    assert report(bytes(volume[1000:]), "a.zip").reason is Unscanned.LIMIT


def test_a_zip_file_of_64_bits_is_whole() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as member:
        member.write(b"text")
    assert {each.verdict for each in everything(made.getvalue(), "a.zip")} == {Verdict.CLEAN}


def test_a_name_in_only_one_of_two_directories_is_listed() -> None:
    """Programs that unpack go by the first or the last."""
    plain = zipped(("a.txt", b"text"))
    at = plain.index(b"PK\1\2")
    other = plain[at:].replace(b"a.txt", b"a.exe")
    both = plain[:at] + other + plain[at:]
    names = {member.name for member in listing(both, Budget()).members}
    assert names == {"a.txt", "a.exe"}


def test_encrypted_members_of_an_arj_file() -> None:
    (member,) = listing(arj_file(b"secret.exe", b"text", flags=1), Budget()).members
    assert (member.name, member.is_encrypted) == ("secret.exe", True)
    assert not listing(arj_file(b"a.txt", b"text"), Budget()).unopened


def test_after_a_fatal_error_nothing_more_is_read() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.bin", "b.bin"):
            archive.writestr(name, NOISE.hex())
    broken = bytearray(made.getvalue())
    broken[40:60] = b"\xff" * 20
    found = listing(bytes(broken), Budget())
    assert found.unopened
    assert [member.name for member in found.members] == ["a.bin"]


def test_a_child_that_dies_of_an_archive_leaves_it_unscanned(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> Listing:
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError

    monkeypatch.setattr(containers, "listing", crash)
    lister = containers.ContainerLister()
    found = lister({"d": ZIPPED})["d"]
    lister.close()
    assert found.exceeded
    made = PartReport("2", "a.zip", "", "application/zip", 9, "d", Verdict.CLEAN)
    assert container_reports(made, found)[-1].reason is Unscanned.LIMIT


@given(st.binary(max_size=200), st.sampled_from([rar.MAGIC_4, rar.MAGIC_5]))
def test_broken_rar_blocks_end(rest: bytes, magic: bytes) -> None:
    assert rar.blocks(magic + rest).files <= len(rest)


@given(st.data(), st.sampled_from([rar4(b"a.txt", b"text"), rar5(b"a.txt", b"text"), arj_file(b"a", b"text")]))
def test_changed_headers_never_raise(data: st.DataObject, seed: bytes) -> None:
    at = data.draw(st.integers(0, len(seed) - 1))
    changed = seed[:at] + data.draw(st.binary(max_size=4)) + seed[at + data.draw(st.integers(0, 4)) :]
    assert isinstance(listing(changed, Budget()), Listing)
    rar.blocks(changed)


@given(st.binary(max_size=300))
def test_broken_arj_files_end(rest: bytes) -> None:
    data = b"\x60\xea\x22\0\x1e" + rest
    if arj.is_arj(data):
        assert isinstance(listing(data, Budget()), Listing)


def test_how_rar_archives_stand_for_themselves() -> None:
    assert rar.blocks(rar4(b"a", b"text")).fault == ""
    assert rar.blocks(rar5(b"a", b"text")).fault == ""
    assert rar.blocks(rar5(b"a", b"text")).files == rar.blocks(rar4(b"a", b"text")).files == 1
    assert rar.blocks(rar5(b"a", b"text")[:-12]).is_cut
    assert rar.blocks(rar4_blocks(b"a", b"text", main_flags=1)).is_volume
