"""A scanner that misbehaves in one chosen way."""

from __future__ import annotations

import contextlib
import enum
import shutil
import socket
import threading
from types import TracebackType
from typing import Self

from tests.support.gateway import short_folder


class Fault(enum.StrEnum):
    """EMPTY closes without an answer, ERROR says it could not scan, GARBAGE is no reply of clamd's, RESET sends RST,
    HANG never answers, CLEAN says OK to everything, EICAR too (its canary must give it away)."""

    EMPTY = "empty"
    ERROR = "error"
    GARBAGE = "garbage"
    RESET = "reset"
    HANG = "hang"
    CLEAN = "clean"


_REPLIES = {
    Fault.ERROR: "stream: Can't allocate memory ERROR",
    Fault.GARBAGE: "I am a teapot",
    Fault.CLEAN: "stream: OK",
}


class FaultyClamd:
    """Listens on a Unix socket as clamd does, in a folder of its own; the fault may be changed while it runs."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._folder = short_folder("mg-fault-")
        path = self._folder / "clamd.sock"
        self.endpoint = f"unix:{path}"
        self.requests = 0
        self._held: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()
        for sock in self._held:
            sock.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            received = bytearray()
            while not self._complete(received):
                data, descriptors, _, _ = socket.recv_fds(sock, 65536, 4)
                if not data:
                    sock.close()
                    return
                received += data
                for descriptor in descriptors:
                    socket.close(descriptor)
            self.requests += 1
            self._misbehave(sock, bytes(received))

    @staticmethod
    def _complete(received: bytearray) -> bool:
        """A stream ends with an empty chunk, FILDES with the byte that carries the descriptor, the rest with NUL or LF;
        the opening of a session is no request yet."""
        if b"INSTREAM" in received:
            return received.endswith(b"\0\0\0\0")
        if b"FILDES" in received:
            return len(received) > received.index(b"FILDES") + 7
        return received.endswith((b"\0", b"\n")) and not received.endswith((b"IDSESSION\0", b"IDSESSION\n"))

    def _misbehave(self, sock: socket.socket, request: bytes) -> None:
        if b"INSTREAM" not in request and b"FILDES" not in request:
            reply = "PONG" if b"PING" in request else "ClamAV 1.0.0/1/Mon Nov 23 03:00:00 2026"
            sock.sendall(reply.encode() + b"\0")
        elif self.fault in _REPLIES:
            number = "1: " if b"IDSESSION" in request else ""
            sock.sendall(f"{number}{_REPLIES[self.fault]}\0".encode())
        elif self.fault is Fault.RESET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if self.fault is Fault.HANG:
            self._held.append(sock)
        else:
            sock.close()
