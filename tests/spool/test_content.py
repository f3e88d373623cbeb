"""Contents: what is written is prefix and body less its cuts, once, synced, or nothing at all."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.ipc.frames import StorageFullError
from mailgate.model.envelope import QueueId
from mailgate.spool import content as content_module
from mailgate.spool import durable
from mailgate.spool.content import ContentFolder, inline_content, kept_ranges
from mailgate.spool.queue import Content
from tests.spool.making import staged


@st.composite
def bodies_with_cuts(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    body = draw(st.binary(max_size=200))
    marks = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return body, list(zip(marks[::2], marks[1::2], strict=False))


def cut(body: bytes, cuts: list[tuple[int, int]]) -> bytes:
    gone = {index for start, end in cuts for index in range(start, end)}
    return bytes(byte for index, byte in enumerate(body) if index not in gone)


@given(bodies_with_cuts())
def test_inline_content_is_prefix_and_body_less_cuts(given_body: tuple[bytes, list[tuple[int, int]]]) -> None:
    body, cuts = given_body
    made = inline_content(b"P: x\r\n", body, cuts)
    assert made.inline == b"P: x\r\n" + cut(body, cuts)
    assert made.size == len(made.inline)


@given(bodies_with_cuts())
def test_kept_ranges_are_sorted_disjoint_and_not_empty(given_body: tuple[bytes, list[tuple[int, int]]]) -> None:
    body, cuts = given_body
    ranges = kept_ranges(len(body), cuts)
    assert all(start < end for start, end in ranges)
    assert all(before[1] <= next_[0] for before, next_ in itertools.pairwise(ranges))
    assert b"".join(body[start:end] for start, end in ranges) == cut(body, cuts)


@pytest.mark.parametrize("cuts", [[(5, 3)], [(0, 11)], [(4, 6), (5, 7)], [(4, 6), (1, 2)], [(-1, 2)]])
def test_cuts_out_of_order_are_refused(cuts: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="cut"):
        kept_ranges(10, cuts)


def test_a_large_content_is_written_under_its_final_name(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path / "content")
    body = os.urandom(300_000)
    entry = staged(tmp_path / "staging" / "m", body, cuts=[(0, 10), (1000, 5000), (299_999, 300_000)])
    made = folder.write(entry)
    path = folder.path(entry.envelope.queue_id, made)
    assert path.read_bytes() == entry.prefix + body[10:1000] + body[5000:299_999]
    assert made == Content(path.stat().st_size, None, digest=hashlib.sha256(path.read_bytes()).digest())
    assert made.in_file
    assert list(folder.files()) == [path]
    assert path.stat().st_mode & 0o077 == 0


def test_the_file_name_tells_format_and_key(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path)
    name = QueueId("0123456789abcdef")
    assert folder.path(name, Content(1, None)).name == "0123456789abcdef.1"
    assert folder.path(name, Content(1, None, 2, "key7")).name == "0123456789abcdef.2.key7"
    assert folder.path(name, Content(1, None)).parent.name == "56"


def test_file_and_folders_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(durable, "sync_data", lambda descriptor, name: synced.append(str(name)))
    monkeypatch.setattr(durable, "sync_folder", lambda folder: synced.append(str(folder)))
    folder = ContentFolder(tmp_path / "content")
    folder.root.mkdir()
    entry = staged(tmp_path / "m", b"x" * 1000)
    path = folder.path(entry.envelope.queue_id, folder.write(entry))
    assert synced == [str(folder.root), str(path), str(path.parent)]


def test_no_room_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full)
    folder = ContentFolder(tmp_path / "content")
    with pytest.raises(StorageFullError, match="No space left"):
        folder.write(staged(tmp_path / "m", b"x" * 1000))
    assert list(folder.files()) == []


def test_a_staged_file_that_is_too_short_is_no_content(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path / "content")
    entry = staged(tmp_path / "m", b"x" * 1000)
    (tmp_path / "m").write_bytes(b"x" * 999)
    with pytest.raises(OSError, match="shorter"):
        folder.write(entry)
    assert list(folder.files()) == []


def test_another_file_system_is_copied_by_sendfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_device(*args: object, **kwargs: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", other_device)
    folder = ContentFolder(tmp_path / "content")
    body = os.urandom(100_000)
    entry = staged(tmp_path / "m", body, cuts=[(5, 50_000)])
    made = folder.write(entry)
    assert folder.path(entry.envelope.queue_id, made).read_bytes() == entry.prefix + body[:5] + body[50_000:]


def test_a_content_is_never_written_twice(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path / "content")
    entry = staged(tmp_path / "m", b"first")
    made = folder.write(entry)
    with pytest.raises(FileExistsError):
        folder.write(entry)
    assert folder.path(entry.envelope.queue_id, made).read_bytes().endswith(b"first")


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path / "content")
    entry = staged(tmp_path / "m", b"body")
    made = folder.write(entry)
    folder.remove(entry.envelope.queue_id, made)
    folder.remove(entry.envelope.queue_id, made)
    assert list(folder.files()) == []


def test_full_disk_numbers() -> None:
    assert {28, 122, 27} == content_module.NO_SPACE


def test_nobody_goes_on_before_a_new_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, allowed, ended = threading.Event(), threading.Event(), []

    def sync(folder: Path) -> None:
        begun.set()
        assert allowed.wait(20)

    monkeypatch.setattr(durable, "sync_folder", sync)
    contents = ContentFolder(tmp_path)

    def make() -> None:
        contents._make_folder(tmp_path / "ab")
        ended.append(allowed.is_set())

    first, second = threading.Thread(target=make), threading.Thread(target=make)
    first.start()
    assert begun.wait(20)
    second.start()
    second.join(0.05)  # time to go wrong in; right code is still waiting after it
    allowed.set()
    first.join(20)
    second.join(20)
    assert ended == [True, True]
