"""The contents of messages: trace headers followed by the body less its cuts. Small ones are made in memory and kept in
the database, large ones are written once, under their final name, and synced before the commit that names them."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailgate.ipc.calls import NewEntry
from mailgate.ipc.frames import StorageFullError
from mailgate.model import digest
from mailgate.model.digest import digest_of
from mailgate.model.envelope import QueueId
from mailgate.model.errors import DamagedError
from mailgate.spool import durable
from mailgate.spool.queue import PLAIN_FORMAT, Content

PIECE = 256 << 10
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def kept_ranges(size: int, cuts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What remains of [0, `size`) without `cuts`, which are sorted (start, end) pairs; else ValueError."""
    ranges, at = [], 0
    for start, end in cuts:
        if not at <= start <= end <= size:
            raise ValueError(f"cut {start}-{end} is out of order or beyond {size} bytes")
        if start > at:
            ranges.append((at, start))
        at = end
    if at < size:
        ranges.append((at, size))
    return ranges


def inline_content(prefix: bytes, body: bytes, cuts: Sequence[tuple[int, int]]) -> Content:
    kept = body if not cuts else b"".join(body[start:end] for start, end in kept_ranges(len(body), cuts))
    joined = prefix + kept
    return Content(len(joined), joined, digest=digest_of(joined))


@dataclass(frozen=True, slots=True)
class ContentFolder:
    """DATA_DIR/spool/content: `<2 characters>/<queue id>.<format>[.<key id>]`, so that a file tells by itself how it is
    to be read."""

    root: Path
    _synced: set[str] = field(default_factory=set, compare=False, repr=False)
    _making: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def path(self, queue_id: QueueId, content: Content) -> Path:
        name = f"{queue_id}.{content.format}" + (f".{content.key_id}" if content.key_id else "")
        # these two characters change every half minute: messages that come together share a folder and its sync
        return self.root / queue_id[5:7] / name

    def write(self, entry: NewEntry) -> Content:
        """Writes and syncs the content of `entry` from its staged file (blocking). StorageFullError where there is no
        room, OSError where the staged file can't be read; then nothing is left behind."""
        ranges = kept_ranges(entry.body_size, entry.cuts)
        size = len(entry.prefix) + sum(end - start for start, end in ranges)
        content = Content(size, None, PLAIN_FORMAT)
        path = self.path(entry.envelope.queue_id, content)
        self._make_folder(path.parent)
        source = os.open(entry.staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            written = _write_new(path, entry.prefix, source, ranges)
        finally:
            os.close(source)
        durable.sync_folder(path.parent)
        return replace(content, digest=written)

    def check(self, queue_id: QueueId, content: Content) -> None:
        """Reads the whole content (blocking). DamagedError where it is not what was accepted, is gone, or can't be
        read."""
        if content.inline is not None:
            digest.check(digest_of(content.inline), content.digest, f"the content of {queue_id}")
            return
        path = self.path(queue_id, content)
        try:
            with path.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if size != content.size:
                    raise DamagedError(f"{path} has {size} bytes instead of {content.size}")
                if content.digest:
                    digest.check(hashlib.file_digest(file, digest.start).digest(), content.digest, str(path))
        except OSError as error:
            raise DamagedError(f"content file {path}: {error.strerror}") from error

    def remove(self, queue_id: QueueId, content: Content) -> None:
        """Not synced: a file that comes back after a crash is an orphan, swept at the next start."""
        self.path(queue_id, content).unlink(missing_ok=True)

    def files(self) -> Iterator[Path]:
        return (path for folder in self.root.iterdir() if folder.is_dir() for path in folder.iterdir())

    def _make_folder(self, folder: Path) -> None:
        """Returns once the folder itself is on stable storage, for whoever comes second too."""
        with self._making:
            if folder.name not in self._synced:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                durable.sync_folder(self.root)
                self._synced.add(folder.name)


def _write_new(path: Path, prefix: bytes, source: int, ranges: Sequence[tuple[int, int]]) -> bytes:
    """The digest of what was written, taken from the source, so that a copy that went wrong does not agree."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write_all(target, prefix)
        for start, end in ranges:
            _copy(source, target, start, end)
        durable.start_writeback(target)  # the disk works while we count
        found = _digest(prefix, source, ranges)
        durable.sync_data(target, path)
    except OSError as error:
        path.unlink()
        if error.errno in NO_SPACE:
            raise StorageFullError(f"no room for {path}: {error.strerror}") from error
        raise
    finally:
        os.close(target)
    return found


def _digest(prefix: bytes, source: int, ranges: Iterable[tuple[int, int]]) -> bytes:
    growing = digest.start(prefix)
    buffer = memoryview(bytearray(PIECE))
    for start, end in ranges:
        left = end - start
        while left:
            count = os.preadv(source, [buffer[:left]], end - left)
            if count == 0:
                raise OSError(errno.EIO, "the staged file became shorter")
            growing.update(buffer[:count])
            left -= count
    return growing.digest()


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def _copy(source: int, target: int, start: int, end: int) -> None:
    """Within the kernel. OSError(EIO) where the staged file is shorter than it should be."""
    while start < end:
        copied = _copy_some(source, target, start, end - start)
        if copied == 0:
            raise OSError(errno.EIO, "the staged file is shorter than announced")
        start += copied


def _copy_some(source: int, target: int, start: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count, offset_src=start)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        # another file system than the staging folder's
        return os.sendfile(target, source, start, count)
