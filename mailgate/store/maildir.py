"""Delivery into Maildirs, many messages at a time: all are written, then all are synced, then all get their names in
`new/`, then each `new/` is synced. A redelivery meets its own file, even where a mail client has moved it to `cur/`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailgate.model.envelope import QueueId
from mailgate.spool import durable


def file_name(queue_id: QueueId, size: int) -> str:
    """The same for each recipient of the message: whoever gets it in a mailbox by two addresses gets it once."""
    return f"{queue_id},S={size}"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one Maildir (a folder with cur, new, tmp). `content`: its bytes, or a synced file to be linked.
    `is_again`: an earlier attempt may have delivered it."""

    folder: Path
    name: str
    content: bytes | Path
    is_again: bool


def deliver(letters: Sequence[Letter]) -> list[OSError | None]:
    """For each letter None once it is on stable storage in `new/` (or was there before), or why it is not. A failed
    sync ends the process. At most some hundred letters: each keeps a descriptor open."""
    results: list[OSError | None] = [None] * len(letters)
    missing = [n for n, letter in enumerate(letters) if not _is_there(letter)]
    staged = _write([(n, letters[n]) for n in missing], results)
    for n, descriptor in staged:
        durable.sync_data(descriptor, letters[n].name)
        os.close(descriptor)
    for n in missing:
        if results[n] is None:
            results[n] = _name(letters[n])
    # also for what was met: the attempt that wrote it may have ended before this sync
    for folder in {letter.folder for letter, result in zip(letters, results, strict=True) if result is None}:
        durable.sync_folder(folder / "new")
    return results


def _write(letters: Iterable[tuple[int, Letter]], results: list[OSError | None]) -> list[tuple[int, int]]:
    """Small contents into `tmp/`: (number, open descriptor) of each that was written."""
    staged: list[tuple[int, int]] = []
    for n, letter in letters:
        if isinstance(letter.content, Path):
            continue
        try:
            staged.append((n, _stage(letter.folder / "tmp" / letter.name, letter.content)))
        except OSError as error:
            results[n] = error
    return staged


def _stage(path: Path, content: bytes) -> int:
    """What an interrupted attempt left under this name is written over."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        durable.start_writeback(descriptor)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def _name(letter: Letter) -> OSError | None:
    target = letter.folder / "new" / letter.name
    try:
        if isinstance(letter.content, Path):
            _link(letter.content, target)
        else:
            (letter.folder / "tmp" / letter.name).rename(target)
    except OSError as error:
        return error
    return None


def _link(source: Path, target: Path) -> None:
    """The content file itself becomes the mailbox's file; a copy only where the file system can't link it."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    partial = target.parent.parent / "tmp" / target.name
    with source.open("rb") as reader, partial.open("wb") as writer:
        start, size = 0, os.fstat(reader.fileno()).st_size
        while start < size:
            start += os.sendfile(writer.fileno(), reader.fileno(), start, size - start)
        durable.sync_data(writer.fileno(), partial)
    partial.rename(target)


def _is_there(letter: Letter) -> bool:
    """In `new/`, or in `cur/` with whatever flags a mail client has given it."""
    if not letter.is_again:
        return False
    if (letter.folder / "new" / letter.name).exists():
        return True
    flagged = f"{letter.name}:2,"
    try:
        with os.scandir(letter.folder / "cur") as entries:
            return any(entry.name == letter.name or entry.name.startswith(flagged) for entry in entries)
    except FileNotFoundError:
        return False
