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
    `is_again`: an earlier attempt may have delivered it. Paths are text: pathlib would cost a third of a delivery."""

    folder: str
    name: str
    content: bytes | Path
    is_again: bool

    @property
    def partial(self) -> str:
        return f"{self.folder}/tmp/{self.name}"  # noqa: S108

    @property
    def final(self) -> str:
        return f"{self.folder}/new/{self.name}"


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
        durable.sync_folder(f"{folder}/new")
    return results


def _write(letters: Iterable[tuple[int, Letter]], results: list[OSError | None]) -> list[tuple[int, int]]:
    """Small contents into `tmp/`: (number, open descriptor) of each that was written."""
    staged: list[tuple[int, int]] = []
    for n, letter in letters:
        if isinstance(letter.content, Path):
            continue
        try:
            staged.append((n, _stage(letter.partial, letter.content)))
        except OSError as error:
            results[n] = error
    return staged


def _stage(path: str, content: bytes) -> int:
    """What an interrupted attempt left under this name is written over."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        durable.start_writeback(descriptor)
    except OSError:
        os.close(descriptor)
        os.unlink(path)  # noqa: PTH108
        raise
    return descriptor


def _name(letter: Letter) -> OSError | None:
    try:
        if isinstance(letter.content, Path):
            _link(letter, letter.content)
        else:
            os.rename(letter.partial, letter.final)  # noqa: PTH104
    except OSError as error:
        return error
    return None


def _link(letter: Letter, source: Path) -> None:
    """The content file itself becomes the mailbox's file; a copy only where the file system can't link it."""
    try:
        os.link(source, letter.final)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        _copy(source, letter.partial)
        os.rename(letter.partial, letter.final)  # noqa: PTH104


def _copy(source: Path, target: str) -> None:
    """Synced. What an interrupted attempt left under this name is written over; of one that fails nothing is left."""
    writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with source.open("rb") as reader:
            start, size = 0, os.fstat(reader.fileno()).st_size
            while start < size:
                copied = os.sendfile(writer, reader.fileno(), start, size - start)
                if copied == 0:
                    raise OSError(errno.EIO, f"{source} became shorter")
                start += copied
        durable.sync_data(writer, target)
    except OSError:
        os.unlink(target)  # noqa: PTH108
        raise
    finally:
        os.close(writer)


def _is_there(letter: Letter) -> bool:
    """In `new/`, or in `cur/` with whatever flags a mail client has given it."""
    if not letter.is_again:
        return False
    if os.path.exists(letter.final):  # noqa: PTH110
        return True
    flagged = f"{letter.name}:2,"
    try:
        with os.scandir(f"{letter.folder}/cur") as entries:
            return any(entry.name == letter.name or entry.name.startswith(flagged) for entry in entries)
    except FileNotFoundError:
        return False
