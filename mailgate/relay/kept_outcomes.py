"""What the next hop has taken and the store could not write down, kept over a restart of the relay.

The file is written in full when it is made: it is for the full disk, on which only what is there can be overwritten."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mailgate.ipc.calls import Ended
from mailgate.model.outcome import State
from mailgate.records import log

FILE_BYTES = 1 << 20  # some two thousand outcomes
_HEAD = struct.Struct("!4sII")  # magic, length and CRC-32 of what follows
_MAGIC = b"MGO1"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ended).decode
_LENGTH = struct.Struct("!I")

_logger = log.get(__name__)


class KeptOutcomes:
    """Outcomes in the file `path`, whose folder is made where it is missing. Without room for the file nothing is
    kept, and the log says so."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_empty = True
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if (missing := FILE_BYTES - os.fstat(self._descriptor).st_size) > 0:
                os.pwrite(self._descriptor, bytes(missing), FILE_BYTES - missing)
                os.fsync(self._descriptor)
        except OSError as error:
            self._descriptor = -1
            _logger.warning("no room to keep outcomes over a restart", reason=str(error))

    def load(self) -> list[Ended]:
        """What was kept, nothing where the file is damaged."""
        if self._descriptor < 0:
            return []
        data = os.pread(self._descriptor, FILE_BYTES, 0)
        magic, length, checksum = _HEAD.unpack_from(data)
        body = memoryview(data)[_HEAD.size : _HEAD.size + length]
        if magic != _MAGIC or zlib.crc32(body) != checksum:
            return []
        try:
            found = list(_cut(body))
        except (msgspec.DecodeError, struct.error) as error:
            _logger.error("kept outcomes can't be read", reason=str(error))
            return []
        self.is_empty = not found
        return found

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def keep(self, waiting: Iterable[Ended]) -> None:
        """These and no others. A refusal or a deferral that is lost is met again, so only what was taken is kept."""
        body = bytearray()
        for ended in waiting:
            if ended.outcome.state is State.RELAYED:
                one = _encode(ended)
                if _HEAD.size + len(body) + _LENGTH.size + len(one) > FILE_BYTES:
                    _logger.error("not all outcomes can be kept over a restart", message=ended.message, n=ended.n)
                    break
                body += _LENGTH.pack(len(one)) + one
        if self._descriptor < 0 or (self.is_empty and not body):
            return
        try:
            os.pwrite(self._descriptor, _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body, 0)
            os.fdatasync(self._descriptor)
            self.is_empty = not body
        except OSError as error:
            _logger.error("outcomes can't be kept over a restart", reason=str(error))


def _cut(body: memoryview) -> Iterable[Ended]:
    at = 0
    while at < len(body):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        yield _decode(body[at : at + length])
        at += length
