"""Maildir delivery: synced before it is named, named once, whatever is tried again."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.envelope import QueueId
from mailgate.spool import durable
from mailgate.store.delivery.maildir import Letter, deliver, file_name

NAME = "0123456789abcdef,S=5"


def make(tmp_path: Path, name: str = "box") -> Path:
    for part in ("cur", "new", "tmp"):
        (tmp_path / name / part).mkdir(parents=True)
    return tmp_path / name


def letter(folder: Path, content: bytes | Path = b"hello", name: str = NAME, again: bool = False) -> Letter:
    return Letter(str(folder), name, content, again)


def found(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_name_tells_id_and_size() -> None:
    assert file_name(QueueId("0123456789abcdef"), 5) == NAME


def test_small_messages_of_several_mailboxes(tmp_path: Path) -> None:
    one, two = make(tmp_path, "one"), make(tmp_path, "two")
    letters = [letter(one, b"a", "m1"), letter(two, b"b", "m1"), letter(one, b"c", "m2")]
    assert deliver(letters) == [None, None, None]
    assert found(one) == {"new/m1": b"a", "new/m2": b"c"}
    assert found(two) == {"new/m1": b"b"}


def test_a_large_message_is_linked_not_copied(tmp_path: Path) -> None:
    box, source = make(tmp_path), tmp_path / "content"
    source.write_bytes(b"large")
    assert deliver([letter(box, source)]) == [None]
    assert (box / "new" / NAME).stat().st_ino == source.stat().st_ino
    source.unlink()
    assert found(box) == {f"new/{NAME}": b"large"}


def test_where_linking_is_not_possible_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_device(*args: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_device)
    box, source = make(tmp_path), tmp_path / "content"
    source.write_bytes(b"large" * 50_000)
    assert deliver([letter(box, source)]) == [None]
    assert found(box) == {f"new/{NAME}": b"large" * 50_000}


@pytest.mark.parametrize("place", [f"new/{NAME}", f"cur/{NAME}", f"cur/{NAME}:2,", f"cur/{NAME}:2,FS"])
@pytest.mark.parametrize("is_large", [True, False])
def test_a_redelivery_meets_its_file(tmp_path: Path, place: str, is_large: bool) -> None:
    box, source = make(tmp_path), tmp_path / "content"
    source.write_bytes(b"hello")
    (box / place).write_bytes(b"hello")
    assert deliver([letter(box, source if is_large else b"hello", again=True)]) == [None]
    assert found(box) == {place: b"hello"}


def test_another_message_is_not_met(tmp_path: Path) -> None:
    box = make(tmp_path)
    (box / "cur" / f"{NAME}0:2,S").write_bytes(b"other")
    assert deliver([letter(box, again=True)]) == [None]
    assert (box / "new" / NAME).exists()


@given(st.integers(1, 5))
def test_however_often_it_is_delivered_it_is_there_once(times: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        box = make(Path(folder))
        for number in range(times):
            assert deliver([letter(box, again=number > 0)]) == [None]
        assert found(box) == {f"new/{NAME}": b"hello"}


def test_what_an_interrupted_attempt_left_is_written_over(tmp_path: Path) -> None:
    box = make(tmp_path)
    (box / "tmp" / NAME).write_bytes(b"half of a longer message")
    assert deliver([letter(box)]) == [None]
    assert found(box) == {f"new/{NAME}": b"hello"}


def test_one_missing_mailbox_does_not_hinder_the_others(tmp_path: Path) -> None:
    box = make(tmp_path)
    results = deliver([letter(tmp_path / "gone"), letter(box), letter(tmp_path / "gone", again=True)])
    assert isinstance(results[0], FileNotFoundError)
    assert results[1] is None
    assert isinstance(results[2], FileNotFoundError)
    assert found(box) == {f"new/{NAME}": b"hello"}


def test_no_room_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = make(tmp_path)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    (result,) = deliver([letter(box)])
    assert isinstance(result, OSError)
    assert result.errno == 28
    assert found(box) == {}


def test_the_order_is_write_sync_name_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = make(tmp_path)
    order: list[str] = []

    def sync_data(descriptor: int, name: str) -> None:
        assert found(box)[f"tmp/{name}"] == b"hello"
        order.append(f"data {name}")

    def sync_folder(folder: str) -> None:
        order.append(f"folder {Path(folder).name} {sorted(found(box))}")

    monkeypatch.setattr(durable, "sync_data", sync_data)
    monkeypatch.setattr(durable, "sync_folder", sync_folder)
    deliver([letter(box, name="m1"), letter(box, name="m2")])
    assert order == ["data m1", "data m2", "folder new ['new/m1', 'new/m2']"]


def test_a_linked_file_is_named_and_its_folder_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box, source = make(tmp_path), tmp_path / "content"
    source.write_bytes(b"large")
    synced: list[str] = []
    monkeypatch.setattr(durable, "sync_folder", lambda folder: synced.append(str(folder)))
    deliver([letter(box, source)])
    assert synced == [f"{box}/new"]


def descriptors() -> set[str]:
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    box = make(tmp_path)
    before = descriptors()
    deliver([letter(box, name=f"m{n}") for n in range(50)] + [letter(tmp_path / "gone")])
    assert descriptors() <= before  # what other tests left to the collector may go in between


def _no_link(source: object, target: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def test_a_copy_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box, source = make(tmp_path), tmp_path / "content"
    source.write_bytes(b"large")
    monkeypatch.setattr(os, "link", _no_link)
    before = os.umask(0)
    try:
        assert deliver([letter(box, source)]) == [None]
    finally:
        os.umask(before)
    assert (box / "new" / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("copied", [OSError(errno.ENOSPC, "No space left on device"), 0], ids=["no room", "too short"])
def test_a_copy_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: OSError | int
) -> None:
    box, source = make(tmp_path), tmp_path / "content"
    source.write_bytes(b"large")

    def sendfile(*rest: object) -> int:
        if isinstance(copied, OSError):
            raise copied
        return copied

    monkeypatch.setattr(os, "link", _no_link)
    monkeypatch.setattr(os, "sendfile", sendfile)
    (result,) = deliver([letter(box, source)])
    assert isinstance(result, OSError)
    assert found(box) == {}
