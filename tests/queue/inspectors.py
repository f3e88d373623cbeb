"""An inspector that the test holds in its hand: on the real socket, with the real framing."""

from __future__ import annotations

import os
import socket
import struct
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from mailgate.ipc.inspect_calls import Inspect, Inspected, InspectFailed
from mailgate.model.verdict import Inspection, PartReport, Unscanned, Verdict, not_scanned

PART = PartReport("1", "", "text/plain", "text/plain", 3, "", Verdict.CLEAN)
CLEAN = Inspection((PART,), engine="test", signatures="27000")
INFECTED = Inspection((replace(PART, verdict=Verdict.INFECTED, signature="Test.Virus"),), signatures="27000")
AWAY = not_scanned(Unscanned.SCANNER_DOWN, 3)
_HEAD = struct.Struct("!I")


class FakeInspector:
    """Answers every request with `answer`, once it may; None hangs up, as an inspector that dies. `seen` are the bytes
    it was asked about."""

    def __init__(self, path: Path, answer: Inspection | InspectFailed | None = CLEAN) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.answer = answer
        self.seen: list[bytes] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(10)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
        while len(data) < _HEAD.size or len(data) < _HEAD.size + _HEAD.unpack_from(data)[0]:
            data += connection.recv(1 << 20)
        request = msgspec.msgpack.decode(data[_HEAD.size :], type=Inspect)
        self.seen.append(request.inline if request.inline is not None else os.pread(descriptors[0], request.size, 0))
        for descriptor in descriptors:
            os.close(descriptor)
        self.may_answer.wait(60)
        if self.answer is None:
            return
        answer = Inspected(self.answer) if isinstance(self.answer, Inspection) else self.answer
        body = msgspec.msgpack.encode(answer)
        connection.sendall(_HEAD.pack(len(body)) + body)
