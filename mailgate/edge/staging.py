"""Where a message lies while it arrives: small ones in memory, large ones in an unsynced file (page cache)."""

from __future__ import annotations

import os
from pathlib import Path

from mailgate.edge.budget import Budget, NoRoomError, Upload
from mailgate.edge.turns import NOBODYS, Share
from mailgate.recoding.plan import Source

INLINE_LIMIT = 64 << 10  # bytes; above it the message is in a file
_HEAD_PIECE = 16 << 10  # bytes read first to find the end of the header of a message in a file
_END_OF_HEAD = b"\r\n\r\n"


class Staging:
    """One message. `write` never raises: a full disk or an exceeded limit is remembered in `is_full` / `is_too_large`
    and the rest is thrown away, so that the dialogue can go on to the end of data. `path` is text in the edge: most
    messages need no file, and a path object costs more than their staging."""

    def __init__(self, path: str | Path, size_limit: int, budget: Budget) -> None:
        self._path = path
        self._size_limit = size_limit
        self._budget = budget
        self._upload: Upload | None = None
        self._chunks: list[bytes] = []
        self._file: int | None = None
        self.size = 0
        self.is_too_large = False
        self.is_full = False

    def begin(self, share: Share, declared: int) -> Upload:
        """The message is about to come: from whose share its bytes are taken, and how many were declared."""
        self._upload = self._budget.open(share, self._end, self._size_limit, declared)
        return self._upload

    def complete(self) -> None:
        """All of it is here; nobody ends it any more."""
        if self._upload is not None:
            self._upload.is_complete = True

    def _end(self) -> None:
        self.is_full = True
        self._drop()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.is_too_large or self.is_full:
            return
        if self.size > self._size_limit:
            self.is_too_large = True
            self._drop()
            return
        try:
            self._budget.take(self._upload or self.begin(NOBODYS, 0), len(data))
            self._chunks.append(data)
            if self.size > INLINE_LIMIT:
                self._spill()
        except (NoRoomError, OSError):
            self._end()

    def _spill(self) -> None:
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        data = b"".join(self._chunks)
        self._chunks.clear()
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    @property
    def inline(self) -> bytes | None:
        """The whole message, or None when it is in the file."""
        if self._file is not None:
            return None
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    def head(self, limit: int) -> bytes:
        """The beginning of the message: all of its header section with the empty line, or, where that is longer than
        `limit` bytes, a little more than `limit`. Never more is read or held."""
        most = limit + len(_END_OF_HEAD)
        inline = self.inline
        if inline is not None:
            return inline if len(inline) <= most else inline[:most]
        assert self._file is not None
        size, head = _HEAD_PIECE, b""
        while True:
            head = os.pread(self._file, min(size, most), 0)
            if len(head) < size or size >= most or _END_OF_HEAD in head:
                return head
            size *= 4

    def read(self, at: int, size: int) -> bytes:
        """OSError where the file has become shorter."""
        if self._file is None:
            return (self.inline or b"")[at : at + size]
        data = os.pread(self._file, size, at)
        if len(data) < min(size, self.size - at):
            raise OSError(f"{self._path} is shorter than {self.size} bytes")
        return data

    @property
    def source(self) -> Source:
        """The whole message, for recoding."""
        return Source(self.size, self.read)

    @property
    def fileno(self) -> int | None:
        return self._file

    @property
    def path(self) -> str:
        return str(self._path) if self._file is not None else ""

    def _drop(self) -> None:
        self._chunks.clear()
        if self._upload is not None:
            self._budget.close(self._upload)
        if self._file is not None:
            os.close(self._file)
            self._file = None
            Path(self._path).unlink(missing_ok=True)

    def close(self) -> None:
        """Gives everything back; the file is gone unless the store has taken it already."""
        self._drop()
