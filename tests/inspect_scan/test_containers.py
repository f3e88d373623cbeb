"""What is inside containers, also renamed, nested, encrypted, hidden or hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import resource
import socket
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import libarchive
import msoffcrypto.format.ooxml
import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.inspect import sevenzip
from mailgate.inspect.bounded import CPU_SECONDS, MEMORY_BYTES, BoundedChild
from mailgate.inspect.containers import ContainerLister, container_reports, is_container, listing
from mailgate.inspect.members import Budget, Listing, Member
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import PartReport, Unscanned, Verdict
from tests.inspect_scan import bombs
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.inspect_scan.ole2 import ole2
from tests.support.components import TESTFILES
from tests.support.processes import is_alive

PROGRAM = b"MZ" + bytes(58) + b"\x40\0\0\0" + b"PE\0\0" + bytes(200)
CONTAINER = PartReport("2", "a.zip", "", "application/zip", 9, "d", Verdict.CLEAN, classes=("archive",))
SEEN = (
    *("clam.7z", "clam.bin-be.cpio", "clam.bin-le.cpio", "clam.bz2.zip", "clam.cab", "clam.exe.bz2", "clam.exe.rtf"),
    *("clam.newc.cpio", "clam.odc.cpio", "clam.ole.doc", "clam.pdf", "clam.tar.gz", "clam.zip"),
)


def members(data: bytes) -> list[tuple[str, str]]:
    found = listing(data, Budget())
    assert not found.exceeded
    return [(member.path, member.name) for member in found.members]


def classes(data: bytes) -> set[str]:
    found = listing(data, Budget())
    return {name for member in found.members for name in member.classes}


def zipped(*files: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return made.getvalue()


def tarred(name: str, content: bytes, mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def with_libarchive(format_name: str, name: str, content: bytes, options: str = "") -> bytes:
    blocks: list[bytes] = []

    def keep(data: bytes) -> int:
        blocks.append(bytes(data))
        return len(data)

    with libarchive.custom_writer(keep, format_name, options=options) as archive:
        archive.add_file_from_memory(name, len(content), content)
    return b"".join(blocks)


@pytest.mark.parametrize(
    "container",
    [
        zipped(("invoice.pdf", PROGRAM)),
        zipped(("invoice.pdf", PROGRAM), compression=zipfile.ZIP_STORED),
        zipped(("invoice.pdf", PROGRAM), compression=zipfile.ZIP_LZMA),
        tarred("invoice.pdf", PROGRAM),
        tarred("invoice.pdf", PROGRAM, "w:gz"),
        tarred("invoice.pdf", PROGRAM, "w:xz"),
        tarred("invoice.pdf", PROGRAM, "w:bz2"),
        with_libarchive("7zip", "invoice.pdf", PROGRAM),
        with_libarchive("iso9660", "invoice.pdf", PROGRAM),
        with_libarchive("cpio_newc", "invoice.pdf", PROGRAM),
        with_libarchive("ar_bsd", "invoice.pdf", PROGRAM),
        with_libarchive("xar", "invoice.pdf", PROGRAM),
        b"\x7fELF or whatever stands in front" + zipped(("invoice.pdf", PROGRAM)),
    ],
    ids=["zip", "stored", "lzma", "tar", "tgz", "txz", "tbz", "7z", "iso", "cpio", "ar", "xar", "prefixed-zip"],
)
def test_a_renamed_program_is_an_executable_in_every_kind_of_archive(container: bytes) -> None:
    assert is_container(container)
    found = listing(container, Budget())
    assert [member.name.lower() for member in found.members] == ["invoice.pdf"]
    assert PartClass.EXECUTABLE in found.members[0].classes


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
def test_a_compressed_file_holds_one_member(compress: Callable[[bytes], bytes]) -> None:
    assert PartClass.EXECUTABLE in classes(compress(PROGRAM))


def test_containers_in_containers_have_paths() -> None:
    inner = zipped(("a.txt", b"text"), ("b.exe", PROGRAM))
    assert members(zipped(("x.txt", b"x"), ("inner.zip", inner))) == [
        ("1", "x.txt"),
        ("2", "inner.zip"),
        ("2/1", "a.txt"),
        ("2/2", "b.exe"),
    ]


def test_an_inner_container_renamed_to_a_picture_is_opened() -> None:
    assert PartClass.EXECUTABLE in classes(zipped(("photo.jpg", tarred("a.exe", PROGRAM, "w:gz"))))


def test_encrypted_members_are_listed_by_name() -> None:
    found = listing(encrypted_zip("secret.exe", PROGRAM), Budget())
    assert [(member.name, member.is_encrypted) for member in found.members] == [("secret.exe", True)]
    assert PartClass.ENCRYPTED in found.members[0].classes


def test_a_member_that_the_directory_hides_is_listed() -> None:
    """Two zip files in one: readers of the directory see the last, streaming readers the first."""
    hidden = zipped(("hidden.exe", PROGRAM), compression=zipfile.ZIP_STORED)
    both = hidden[: hidden.rindex(b"PK\1\2")] + zipped(("shown.txt", b"text"))
    assert {name for _, name in members(both)} == {"shown.txt", "hidden.exe"}
    assert PartClass.EXECUTABLE in classes(both)


def unreached(data: bytes) -> set[bytes]:
    found = listing(data, Budget())
    assert not found.exceeded
    return {content for _, content in found.unreached}


def test_what_the_scanner_cannot_unpack_is_handed_to_it_unpacked() -> None:
    assert unreached(zipped(("a.txt", b"text"), compression=zipfile.ZIP_LZMA)) == {b"text"}
    assert unreached(zipped(("a.txt", b"text"), compression=zipfile.ZIP_DEFLATED)) == set()
    assert unreached(tarred("a.txt", b"text")) == set()
    assert unreached(lzma.compress(b"text", format=lzma.FORMAT_ALONE)) == {b"text"}
    assert unreached(zipped(("a.7z", packed_by_7zip("bzip2")))) == {b"text"}


def packed_by_7zip(method: str) -> bytes:
    return with_libarchive("7zip", "a.txt", b"text", f"compression={method}")


@pytest.mark.parametrize("method", ["store", "lzma1", "lzma2", "ppmd", "deflate", "bzip2"])
def test_methods_of_7zip(method: str) -> None:
    """The last two are unknown to clamd."""
    is_known = method not in ("deflate", "bzip2")
    assert unreached(packed_by_7zip(method)) == (set() if is_known else {b"text"})
    assert sevenzip.is_scanned(packed_by_7zip(method)) is is_known


# Archives of one text whose headers are packed by LZMA2: made by py7zr, the text packed by LZMA2 and by BZip2.
PACKED_HEADER_LZMA2 = (
    "377abcaf271c00046e93080c5d000000000000001400000000000000ec617f590100037465787400e00050004d5d00008133"
    "07ae0fce3fc3e7880708fda933bce234e5a32509a7da1311ebc8aa08263940cf0b3ffe8d1d4c1c14aff8739817f3b816251e"
    "e341899dc4f8996990c8f7534432ca9a1cceaf751a0000000017060801095500070b010001212101180c510000"
)
PACKED_HEADER_BZIP2 = (
    "377abcaf271c00043273624d75000000000000001400000000000000dc78e79d425a6839314159265359cb28d32d00000081"
    "80020004402000219819832c2ee48a70a1219651a65a0100480104060001092800070b010001030402020c0400080a01c7a7"
    "8b3b000005011903000000110d0061002e007400780074000000140a0100809630d54b7bdd01150601002080808100000017"
    "062801094d00070b010001212101180c490000"
)


def test_a_header_of_7zip_that_is_packed_itself() -> None:
    for archive, is_known in ((PACKED_HEADER_LZMA2, True), (PACKED_HEADER_BZIP2, False)):
        assert sevenzip.is_scanned(bytes.fromhex(archive)) is is_known


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_broken_header_of_7zip_is_none_that_the_scanner_reads(start: bytes, rest: bytes) -> None:
    sevenzip.is_scanned(sevenzip.MAGIC + start)
    good = packed_by_7zip("bzip2")
    assert not sevenzip.is_scanned(good[:32] + rest)


def test_what_nobody_can_unpack_was_not_scanned() -> None:
    odd = bytearray(zipped(("a.txt", b"text" * 9), compression=zipfile.ZIP_STORED))
    odd[8] = odd[odd.rindex(b"PK\1\2") + 10] = 97  # WavPack
    found = listing(bytes(odd), Budget())
    assert "can't be unpacked" in found.members[0].unopened
    assert [report.reason for report in container_reports(CONTAINER, found)] == [None, Unscanned.LIMIT]


FIRST, SECOND = zipped(("first.txt", b"the first file")), zipped(("second.txt", b"the second file"))


def changed(data: bytes, at: int, value: int) -> bytes:
    """Both a zip file's only local header and its directory entry can be made to lie."""
    return data[:at] + bytes((value,)) + data[at + 1 :]


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (FIRST + SECOND, b"the first file"),
        (FIRST + SECOND, b"the second file"),
        (SECOND[: SECOND.rindex(b"PK\1\2")], b"the second file"),
        (changed(SECOND, 8, 0), b"the second file"),
        (changed(SECOND, SECOND.rindex(b"PK\1\2") + 10, 0), b"the second file"),
        (changed(SECOND, SECOND.rindex(b"PK\1\2") + 20, 1), b"the second file"),
        (changed(zipped(("a", b"stored"), compression=zipfile.ZIP_STORED), 8, 8), b"stored"),
        (b"MZ" + FIRST[:60] + SECOND, b"the second file"),
        (b"MZ" + bytes(3000) + FIRST, b"the first file"),
    ],
    ids=["row-1", "row-2", "no-directory", "method", "entry-method", "entry-size", "not-packed", "prefix", "program"],
)
def test_every_reading_of_a_zip_file_that_has_several_is_scanned(data: bytes, content: bytes) -> None:
    assert content in unreached(data)


@pytest.mark.parametrize("names", [(b"a.txt", b"a.exe"), (b"a.exe",), (b"a.txt", b"a.txt", b"a.exe")])
def test_every_name_that_the_directory_gives_a_member_is_listed(names: tuple[bytes, ...]) -> None:
    found = listing(bombs.member_with_names(b"content", b"a.txt", *names), Budget())
    assert {"a.txt", "a.exe"} == {member.name for member in found.members}


@pytest.mark.parametrize(
    "data",
    [
        FIRST,
        FIRST + bytes(100),
        zipped(*((f"{number}.txt", b"text" * number) for number in range(50))),
        zipped(("inner.zip", FIRST), compression=zipfile.ZIP_STORED),
    ],
)
def test_an_honest_zip_file_is_left_to_the_scanner(data: bytes) -> None:
    assert unreached(data) == set()


def test_office_files_show_only_what_matters() -> None:
    document = zipped(
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", b"<w/>"),
        ("word/media/image1.png", b"\x89PNG\r\n\x1a\n"),
        ("word/embeddings/setup.exe", PROGRAM),
    )
    assert [name for _, name in members(document)] == ["word/embeddings/setup.exe"]


def pdf(**root: object) -> bytes:
    made = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        for name, value in root.items():
            document.Root[f"/{name}"] = value
        document.save(made)
    return made.getvalue()


def pdf_with(attachment: bytes) -> bytes:
    made = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.attachments["run me.txt"] = pikepdf.AttachedFileSpec(document, attachment, filename="run me.txt")
        document.save(made, compress_streams=True)
    return made.getvalue()


def test_files_attached_to_a_pdf() -> None:
    found = listing(pdf_with(PROGRAM), Budget())
    assert [member.name for member in found.members] == ["run me.txt"]
    assert PartClass.EXECUTABLE in found.members[0].classes


def test_a_pdf_that_starts_programs_is_a_script() -> None:
    launch = pikepdf.Dictionary(S=pikepdf.Name.Launch, F="cmd.exe")
    assert PartClass.SCRIPT in listing(pdf(OpenAction=launch), Budget()).classes
    assert listing(pdf(), Budget()) == Listing()


def test_a_pdf_that_can_hold_nothing_is_not_opened() -> None:
    assert not is_container(pdf())
    assert not is_container(b"%PDF-1.4\n" + bytes(range(256)) * 10)


def test_a_launch_action_behind_escaped_letters_or_in_an_object_stream_is_seen() -> None:
    launch = pdf(OpenAction=pikepdf.Dictionary(S=pikepdf.Name.Launch, F="cmd.exe"))
    escaped = launch.replace(b"/Launch", b"/L#61unch")
    packed = io.BytesIO()
    with pikepdf.open(io.BytesIO(launch)) as document:
        document.save(packed, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    for data in (escaped, packed.getvalue()):
        assert b"/Launch" not in data
        assert is_container(data)
        assert PartClass.SCRIPT in listing(data, Budget()).classes


@pytest.mark.parametrize(("user", "is_encrypted"), [("secret", True), ("", False)])
def test_a_pdf_is_encrypted_when_reading_it_needs_a_password(user: str, is_encrypted: bool) -> None:
    made = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(made, encryption=pikepdf.Encryption(owner="owner", user=user))
    assert (PartClass.ENCRYPTED in listing(made.getvalue(), Budget()).classes) is is_encrypted


def encrypted_office() -> bytes:
    made = io.BytesIO()
    types = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    plain = io.BytesIO(zipped(("[Content_Types].xml", types), ("word/document.xml", b"<w/>")))
    msoffcrypto.format.ooxml.OOXMLFile(plain).encrypt("password", made)
    return made.getvalue()


def test_an_encrypted_office_file() -> None:
    assert PartClass.ENCRYPTED in listing(encrypted_office(), Budget()).classes


@pytest.mark.parametrize(
    ("stream", "content"),
    [
        ("WordDocument", bytes(11) + b"\x01" + bytes(500)),
        ("Workbook", b"\x09\x08\x02\x00ab" + b"\x2f\x00\x06\x00" + bytes(500)),
        ("Current User", bytes(12) + bytes.fromhex("dfc4d1f3") + bytes(500)),
    ],
)
def test_encrypted_binary_office_formats(stream: str, content: bytes) -> None:
    assert PartClass.ENCRYPTED in listing(ole2(stream, content), Budget()).classes
    assert PartClass.ENCRYPTED not in listing(ole2(stream, bytes(512)), Budget()).classes
    assert PartClass.ENCRYPTED not in listing(ole2("Other", content), Budget()).classes


def test_an_office_file_with_macros() -> None:
    project = ole2("_VBA_PROJECT", bytes(512))
    assert PartClass.MACRO in listing(project, Budget()).classes
    assert PartClass.MACRO not in listing(ole2("WordDocument", bytes(512)), Budget()).classes
    assert PartClass.MACRO in classes(zipped(("[Content_Types].xml", b""), ("word/vbaProject.bin", project)))


def test_a_packaged_program_in_an_office_file() -> None:
    strings = b"photo.jpg\0C:\\photo.jpg\0" + bytes(8) + b"C:\\photo.jpg\0"
    native = b"\2\0" + strings + len(PROGRAM).to_bytes(4, "little") + PROGRAM
    found = listing(ole2("\1Ole10Native", len(native).to_bytes(4, "little") + native), Budget())
    assert [member.name for member in found.members] == ["photo.jpg"]
    assert PartClass.EXECUTABLE in found.members[0].classes


def test_onenote_files_are_listed() -> None:
    head = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(100)
    stored = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + len(PROGRAM).to_bytes(8, "little") + bytes(12)
    assert PartClass.EXECUTABLE in classes(head + stored + PROGRAM)


@pytest.mark.component("testfiles")
@pytest.mark.parametrize("name", SEEN)
def test_the_program_in_clamavs_containers_is_seen(name: str) -> None:
    assert PartClass.EXECUTABLE in classes((TESTFILES / name).read_bytes())


def test_a_zip_directory_that_leads_to_itself_has_no_members() -> None:
    found = listing(bombs.directory_of_itself(60_000), Budget())
    assert found.members == ()
    assert found.unreadable


@pytest.mark.parametrize(
    "bomb",
    [
        lambda: bombs.deflate_bomb(500 << 20),
        lambda: bombs.xz_bomb(500 << 20),
        lambda: bombs.many_members(1_000_000),
        lambda: bombs.overlapping(3_000, 1 << 20),
        lambda: pdf_with(bytes(300 << 20)),
        lambda: bombs.nested(40),
        lambda: bombs.fork_tree(20, 5),
        bombs.gzip_quine,
        bombs.zip_quine,
        lambda: bombs.member_with_names(bytes(10 << 20), *(b"%05d" % number for number in range(60_000))),
        lambda: bombs.members_to_the_end(30_000),
        lambda: zipped(*((f"{n}.zip", bombs.deflate_bomb(90 << 20)) for n in range(5))),
    ],
    ids=[
        "deflate",
        "xz",
        "million",
        "overlap",
        "pdf",
        "nested",
        "tree",
        "gzip-quine",
        "zip-quine",
        "same",
        "rest",
        "several",
    ],
)
def test_bombs_end_as_a_limit_within_time_and_memory(bomb: Callable[[], bytes]) -> None:
    made = bomb()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lister = ContainerLister()
    found = lister({"digest": made})["digest"]
    lister.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.exceeded
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < CPU_SECONDS + 1.0
    last = container_reports(CONTAINER, found)[-1]
    assert (last.verdict, last.reason) == (Verdict.NOT_SCANNED, Unscanned.LIMIT)


def echo(contents: Sequence[bytes]) -> Iterator[bytes]:
    """Answers with the content, unless it asks for a fault."""
    for content in contents:
        if content == b"greedy":
            bytearray(2 * MEMORY_BYTES)
        while content == b"busy":
            pass
        if content == b"idle":
            time.sleep(60)
        yield content if content != b"who" else b"%d" % os.getpid()


@pytest.fixture
def child() -> Iterator[BoundedChild]:
    made = BoundedChild(echo, cpu_seconds=0.3)
    yield made
    made.close()


@pytest.mark.parametrize("fault", [b"greedy", b"busy", b"idle"])
def test_what_was_answered_before_the_child_was_stopped_is_kept(child: BoundedChild, fault: bytes) -> None:
    assert child.run([b"a", b"b", fault, b"c"], 2.0) == [b"a", b"b"]
    assert child.run([b"d"], 30.0) == [b"d"]


def test_one_child_serves_many_and_a_stopped_one_is_reaped(child: BoundedChild) -> None:
    first = child.run([b"who"], 30.0)
    assert child.run([b"who"], 30.0) == first
    child.run([b"busy"], 30.0)
    assert not is_alive(int(first[0]))
    assert child.run([b"who"], 30.0) != first


def test_processor_time_counts_for_each_message_anew(child: BoundedChild) -> None:
    end = time.process_time() + 1.0
    while time.process_time() < end:
        assert child.run([os.urandom(1 << 20)], 30.0)


def test_the_child_has_none_of_the_parents_descriptors(child: BoundedChild) -> None:
    here, there = socket.socketpair()
    child.run([b"start"], 30.0)
    there.close()
    here.settimeout(30)
    assert here.recv(1) == b""
    here.close()


def test_a_bomb_takes_no_other_container_with_it_unlisted_ones_are_a_limit() -> None:
    found = ContainerLister()({"good": zipped(("a.txt", b"a")), "bomb": bombs.many_members(5000)})
    assert [member.name for member in found["good"].members] == ["a.txt"]
    assert found["bomb"].exceeded


def test_listings_are_remembered_but_not_those_that_hit_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    lister = ContainerLister()
    good, bomb = zipped(("a.txt", b"a")), bombs.nested(20)
    first = lister({"good": good, "bomb": bomb})
    opened: list[int] = []
    monkeypatch.setattr(ContainerLister, "_list", lambda self, contents: opened.append(len(contents)) or [])
    assert lister({"good": good}) == {"good": first["good"]}
    with pytest.raises(ValueError, match="shorter"):
        lister({"bomb": bomb})
    assert opened == [0, 1]


def test_a_broken_container_says_that_its_contents_are_unknown() -> None:
    found = listing(with_libarchive("7zip", "a", PROGRAM)[:-10], Budget())
    assert found.unreadable
    report = container_reports(CONTAINER, found)[0]
    assert (report.verdict, report.reason) == (Verdict.NOT_SCANNED, Unscanned.LIMIT)
    assert "can't be read on" in report.detail


def test_a_broken_document_is_repaired_by_its_viewers_and_stays_clean() -> None:
    found = listing(ole2("WordDocument", bytes(512))[:700], Budget())
    report = container_reports(CONTAINER, found)[0]
    assert report.verdict is Verdict.CLEAN
    assert "can't be listed" in report.detail


def test_members_share_the_verdict_of_their_container() -> None:
    inside = Listing((Member("1", "a.exe", "application/x-dosexec", 5, ("executable",)), Member("1/1", "b", "", 0)))
    reports = container_reports(CONTAINER, inside)
    assert [(report.place, report.verdict) for report in reports] == [
        ("2", Verdict.CLEAN),
        ("2/1", Verdict.CLEAN),
        ("2/1/1", Verdict.CLEAN),
    ]
    assert (reports[1].classes, reports[1].names, reports[1].size) == (("executable",), ("a.exe",), 5)


def test_what_is_encrypted_was_not_scanned_whatever_the_scanner_says() -> None:
    member = Listing((Member("1", "a", "", 0, (PartClass.ENCRYPTED,), True),))
    assert [report.verdict for report in container_reports(CONTAINER, member)] == [Verdict.CLEAN, Verdict.NOT_SCANNED]
    whole = container_reports(CONTAINER, Listing(classes=(PartClass.ENCRYPTED,)))
    assert [(report.reason, report.encrypted) for report in whole] == [(Unscanned.ENCRYPTED, True)]


@pytest.mark.parametrize("reason", [Unscanned.LIMIT, Unscanned.SCANNER_DOWN])
def test_members_of_what_was_not_scanned_were_not_scanned(reason: Unscanned) -> None:
    unscanned = replace(CONTAINER, verdict=Verdict.NOT_SCANNED, reason=reason)
    reports = container_reports(unscanned, Listing((Member("1", "a", "", 0),)))
    assert [report.reason for report in reports] == [reason, reason]


MAGICS = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\3\4", b"Rar!\x1a\7\1\0", b"%PDF-1.7\n", b"{\\rtf1\\objdata "]
SEEDS = st.sampled_from(
    [zipped(("a.exe", PROGRAM)), tarred("a", PROGRAM, "w:gz"), with_libarchive("7zip", "a", PROGRAM), pdf()]
)


@settings(max_examples=300, deadline=None)
@given(SEEDS, st.data())
def test_broken_containers_never_raise(seed: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(seed) - 1))
    broken = seed[:at] + data.draw(st.binary(max_size=8)) + seed[at + data.draw(st.integers(0, 40)) :]
    assert isinstance(listing(broken, Budget()), Listing)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\3\4", b"Rar!\x1a\7\1\0", b"%PDF-1.7\n", b"{\\rtf1\\objdata "]
    ),
    st.binary(),
)
def test_anything_behind_a_magic_number_never_raises(magic: bytes, rest: bytes) -> None:
    assert isinstance(listing(magic + rest, Budget()), Listing)
