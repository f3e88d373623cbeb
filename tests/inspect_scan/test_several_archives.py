"""One file that is several archives: each program opens the one it looks for, so all of them are looked through."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import arj, filetype, iso9660, readers, signatures, tarball
from mailgate.inspect.containers import is_container, listing
from mailgate.inspect.members import Budget, LimitExceededError, Listing, UnreadableError
from mailgate.inspect.worker import inspector
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.verdict import Verdict
from tests.inspect_scan.archive_samples import arj_file, iso_image
from tests.inspect_scan.small_clamd import SmallClamd
from tests.inspect_scan.test_container_kinds import cabinet, rar4, rar5
from tests.inspect_scan.test_containers import tarred, with_libarchive, zipped
from tests.support import messages
from tests.support.messages import EICAR

TEXT = b"some text that nobody minds " * 20
EVIL = gzip.compress(EICAR, mtime=0)  # nowhere in the open
FRONT = {
    "zip": zipped(("a.txt", TEXT)),
    "empty-zip": b"PK\5\6" + bytes(18),
    "gzip": gzip.compress(TEXT),
    "7z": with_libarchive("7zip", "a.txt", TEXT),
    "tar": tarred("a.txt", TEXT),
    "cpio": with_libarchive("cpio", "a.txt", TEXT),
    "rar": rar5(b"a.txt", TEXT),
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "page": b"<html><body>Hello</body></html>",
    "text": TEXT,
}
BEHIND = {
    "rar5": rar5(b"evil.gz", EVIL),
    "rar4": rar4(b"evil.gz", EVIL),
    "zip": zipped(("evil.gz", EVIL)),
    "7z": with_libarchive("7zip", "evil.gz", EVIL),
    "cab": cabinet(b"evil.gz", EVIL),
    "arj": arj_file(b"evil.gz", EVIL),
}


def looked_at(data: bytes) -> Listing:
    assert is_container(data)
    return listing(data, Budget())


def is_told(data: bytes, content: bytes = EVIL) -> bool:
    """Whether the content comes to the scanner by itself, or the file is known as one that nobody went through."""
    found = looked_at(data)
    return bool(found.exceeded or found.unopened or content in {each for _, each in found.unreached})


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("front", FRONT)
def test_an_archive_behind_anything_is_looked_through(front: str, behind: str) -> None:
    if (front, behind) == ("zip", "zip"):
        pytest.skip("two zip files in a row: see test_containers")
    if behind in ("arj", "7z", "cab") and front in ("picture", "page", "text"):
        pytest.skip("left to the scanner")
    assert is_told(FRONT[front] + BEHIND[behind])


@pytest.mark.parametrize("front", FRONT)
def test_an_image_with_another_archive_in_its_unused_sectors_is_looked_through(front: str) -> None:
    image = iso_image({"EVIL.GZ;1": EVIL})
    assert is_told(FRONT[front] + image[len(FRONT[front]) :])


def test_an_archive_in_the_comment_of_a_zip_file_is_looked_through() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.txt", TEXT)
        archive.comment = BEHIND["rar5"]
    assert is_told(made.getvalue())


def test_a_tar_file_in_the_extra_field_of_a_gzip_file_is_looked_through() -> None:
    """What begins like one compressed file and has the header of a tar file."""
    made = bytearray(tarred("evil.gz", EVIL))
    head = b"\x1f\x8b\x08\4" + bytes(6) + (len(made) - 12).to_bytes(2, "little")
    made[: len(head)] = head
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    assert is_told(bytes(made) + gzip.compress(TEXT)[10:])


@pytest.mark.parametrize("archive", ["rar5", "7z", "cab", "arj"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_in_an_archive_is_no_second_one(archive: str, method: int) -> None:
    """Also where deflate could not pack it, and left pieces of it as they are."""
    noise = hashlib.shake_256(b"").digest(200_000)
    makers = {
        "rar5": lambda: rar5(b"noise", noise),
        "7z": lambda: with_libarchive("7zip", "noise", noise),
        "cab": lambda: cabinet(b"noise", noise[:30_000]),
        "arj": lambda: arj_file(b"noise", noise),
    }
    made = zipped((f"a.{archive}", makers[archive]()), compression=method)
    found = looked_at(made)
    assert not (found.exceeded or found.unopened or any(member.unopened for member in found.members))


@pytest.mark.parametrize("name", ["\x89PNG\r\n", "GIF89a", "%PDF-1.4", "MSCF", "xar!", "<html>", "PK\3\4", "BZh91AY"])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_file_that_the_scanner_may_take_for_something_else_is_unpacked(name: str, mode: str) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:  # type: ignore[call-overload]
        for each, content in ((name, TEXT), ("evil.gz", EVIL)):
            info = tarfile.TarInfo(each)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert is_told(made.getvalue())


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_ordinary_tar_file_is_left_to_the_scanner(mode: str) -> None:
    assert listing(tarred("report/a.txt", TEXT, mode), Budget()).unreached == ()


def test_a_tar_file_without_a_mark_is_one() -> None:
    made = bytearray(tarred("evil.gz", EVIL))
    made[257:265] = bytes(8)
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    data = bytes(made)
    assert tarball.is_tar(data)
    assert filetype.detect(data).mime == "application/x-tar"
    assert looked_at(data).members[0].name == "evil.gz"


INNER = {
    "rar5": rar5(b"evil", TEXT),
    "rar4": rar4(b"evil", TEXT),
    "ar": with_libarchive("ar_bsd", "evil", TEXT),
    "xar": with_libarchive("xar", "evil", TEXT),
    "zip": zipped(("evil", TEXT)),
    "7z": with_libarchive("7zip", "evil", TEXT),
    "lzma": lzma.compress(TEXT, format=lzma.FORMAT_ALONE),
    "gzip": gzip.compress(TEXT),
}


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress], ids=["gzip", "xz", "bzip2"])
def test_what_the_library_unpacks_in_one_go_is_handed_to_the_scanner(
    pack: Callable[[bytes], bytes], inner: str
) -> None:
    """The scanner opens the outer layer, and may not know the inner one."""
    assert is_told(pack(INNER[inner]), TEXT)


@pytest.mark.parametrize("length", [10, 20_000])
def test_a_message_in_an_archive_shows_its_parts(length: int) -> None:
    noise = hashlib.shake_256(b"").digest(length)
    inner = zipped(("evil.exe", b"MZ" + bytes(100) + noise))
    found = looked_at(zipped(("a.eml", messages.with_attachment("a", inner, "a.zip"))))
    assert "evil.exe" in {name for member in found.members for name in member.names}
    assert inner in {content for _, content in found.unreached}


def test_a_gzip_file_with_a_checksum_of_its_header_is_unpacked() -> None:
    made = gzip.compress(EICAR, mtime=0)
    assert is_told(made[:3] + b"\2" + made[4:10] + b"no" + made[10:], EICAR)


@pytest.mark.parametrize("magic", [b"..-pm0-", b"RE~^"])
def test_what_has_the_type_of_an_archive_that_the_gateway_opens_and_is_none_was_opened_by_nobody(magic: bytes) -> None:
    assert looked_at(magic + bytes(100)).unopened


def test_whatever_has_a_type_that_the_gateway_opens_is_taken_for_an_archive() -> None:
    for offset, magic, mime, _ in signatures.SIGNATURES:
        data = bytes(offset) + magic + bytes(4096)
        is_wrapper = mime == "application/ms-tnef"  # its files are parts of the message
        if readers.reader_of(filetype.detect(data)) is readers.Reader.GATEWAY and not is_wrapper:
            assert is_container(data), mime


def test_every_tree_of_an_image_is_looked_through() -> None:
    found = looked_at(iso_image({"README.TXT;1": TEXT}, {"readme.txt": TEXT, "evil.exe": EVIL}))
    assert [member.name for member in found.members if "/" not in member.path] == [
        "README.TXT",
        "readme.txt",
        "evil.exe",
    ]
    assert EVIL in {content for _, content in found.unreached}
    assert not found.unopened


def test_a_file_that_two_trees_share_comes_once_with_both_names() -> None:
    image = bytearray(iso_image({"EVIL.GZ;1": EVIL}, {"evil.tar.gz": b""}))
    at = image.index("evil.tar.gz".encode("utf-16-be")) - 33
    mine = image.index(b"EVIL.GZ;1") - 33
    image[at + 2 : at + 18] = image[mine + 2 : mine + 18]
    (member, _) = looked_at(bytes(image)).members
    assert member.names == ("EVIL.GZ", "evil.tar.gz")


def test_an_image_with_a_udf_file_system_was_opened_by_nobody() -> None:
    assert "UDF" in looked_at(iso_image({"README.TXT;1": TEXT}, is_udf=True)).unopened


@pytest.mark.parametrize("sector", [512, 2048])
def test_an_image_with_an_anchor_of_udf_is_one_of_udf(sector: int) -> None:
    image = bytearray(iso_image({"README.TXT;1": TEXT}).ljust(257 * sector, b"\0"))
    image[256 * sector : 256 * sector + 5] = b"\2\0\2\0\4"
    assert "UDF" in looked_at(bytes(image)).unopened


def test_an_image_that_is_cut_off_is_told() -> None:
    image = iso_image({"EVIL.GZ;1": bytes(5000)})
    assert looked_at(image[:-3000]).unopened


def test_a_boot_image_comes_as_a_file() -> None:
    image = bytearray(iso_image({"CATALOG.;1": bytes(2048), "EVIL.GZ;1": EVIL.ljust(512, b"\0")}))
    catalog = image.index(b"CATALOG.") - 33
    place = int.from_bytes(image[catalog + 2 : catalog + 6], "little")
    image[place * 2048 + 32 : place * 2048 + 64] = (
        b"\x88\0" + bytes(4) + b"\1\0" + (place + 1).to_bytes(4, "little") + bytes(20)
    )
    boot = bytearray(b"\0CD001\1EL TORITO SPECIFICATION".ljust(2048, b"\0"))
    boot[71:75] = place.to_bytes(4, "little")
    image[17 * 2048 : 18 * 2048] = boot
    names = {name for member in looked_at(bytes(image)).members for name in member.names}
    assert "[BOOT]/0" in names


def test_rock_ridge_has_names_of_its_own() -> None:
    made = with_libarchive("iso9660", "a long name.exe", TEXT, "rockridge=strict,!joliet")
    assert "a long name.exe" in {name for member in looked_at(made).members for name in member.names}


@given(at=st.integers(0x8000, 0x8000 + 8 * 2048), junk=st.binary(min_size=1, max_size=40))
def test_no_damage_to_an_image_does_more_than_tell_of_it(at: int, junk: bytes) -> None:
    image = bytearray(iso_image({"README.TXT;1": TEXT}, {"readme.txt": TEXT}))
    image[at : at + len(junk)] = junk
    try:
        for found in iso9660.iso_members(bytes(image), Budget()):
            assert len(found.data) <= len(image)
    except (UnreadableError, LimitExceededError):
        pass


def test_folders_that_lead_to_each_other_have_an_end() -> None:
    image = bytearray(iso_image({"A": b""}))
    record = image.index(b"A\0", 0x8800) - 33
    image[record + 25] = 2
    image[record + 2 : record + 18] = image[0x8000 + 158 : 0x8000 + 174]
    assert list(iso9660.iso_members(bytes(image), Budget())) == []


@given(st.binary(max_size=600))
def test_anything_is_a_tar_file_or_none(data: bytes) -> None:
    assert tarball.is_tar(data) in (True, False)
    assert arj.is_main_header(data, 0) in (True, False)


@pytest.mark.component("clamd")
@pytest.mark.parametrize("behind", [name for name in BEHIND if name != "arj"])
@pytest.mark.parametrize("front", FRONT)
def test_a_real_scanner_finds_it_wherever_it_stands(small_clamd: SmallClamd, front: str, behind: str) -> None:
    message = messages.with_attachment("a", FRONT[front] + BEHIND[behind], "a.bin")
    assert inspector([small_clamd.endpoint])(message, InspectLimits()).verdict is not Verdict.CLEAN
