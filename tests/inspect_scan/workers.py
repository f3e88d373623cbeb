"""Inspector processes for tests, and the edge's side of their protocol."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from mailgate.ipc.inspect_calls import Inspect, InspectAnswer, InspectLimits
from tests.support.components import REPOSITORY

_LENGTH = struct.Struct("!I")
LIMITS = InspectLimits()


class Worker:
    """`prelude`: Python source that runs in the worker before its main, to give it the fault that a test needs."""

    def __init__(
        self, folder: Path, endpoint: str, user: str = "nobody", memory: int = 1 << 30, prelude: str = ""
    ) -> None:
        self.path = folder / "inspector.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(16)
        program = (
            f"import mailgate.inspect.worker as worker\n{prelude}\n"
            f"worker.main({listener.fileno()}, [{endpoint!r}], {user!r}, {memory})"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], pass_fds=[listener.fileno()], cwd=REPOSITORY, stderr=subprocess.PIPE
        )
        listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Edge:
    """One connection to an inspector."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))

    def send(self, message: bytes, limits: InspectLimits = LIMITS, size: int | None = None) -> None:
        body = msgspec.msgpack.encode(Inspect(len(message) if size is None else size, message, limits))
        self._socket.sendall(_LENGTH.pack(len(body)) + body)

    def send_file(self, file: Path, size: int | None = None) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        length = os.fstat(descriptor).st_size if size is None else size
        body = msgspec.msgpack.encode(Inspect(length, None, LIMITS))
        socket.send_fds(self._socket, [_LENGTH.pack(len(body)) + body], [descriptor])
        os.close(descriptor)

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> InspectAnswer | None:
        """None where the worker hung up instead."""
        frame = b""
        while len(frame) < 4 or len(frame) < 4 + _LENGTH.unpack_from(frame)[0]:
            data = self._socket.recv(65536)
            if not data:
                return None
            frame += data
        return msgspec.msgpack.decode(frame[4:], type=InspectAnswer)

    def ask(self, message: bytes, limits: InspectLimits = LIMITS) -> InspectAnswer | None:
        self.send(message, limits)
        return self.answer()

    def is_hung_up(self) -> bool:
        """Waits for the end of the connection; False where an answer comes instead."""
        try:
            return not self._socket.recv(1)
        except ConnectionError:
            return True
