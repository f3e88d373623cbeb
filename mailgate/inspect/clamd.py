"""The scanner client: the `clamd` package extended by kept sessions (IDSESSION), FILDES, deadlines and IPv6.

One client serves one thread. Several samples are under way at once on the one connection; clamd's threads answer in any
order, each answer carries the number of its request.
"""

from __future__ import annotations

import itertools
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from clamd import ClamdNetworkSocket, ClamdUnixSocket
from clamd import ConnectionError as ClamdConnectionError
from msgspec import Struct

from mailgate.inspect.memory_files import Buffer, MemoryFiles
from mailgate.inspect.replies import ReplyBuffer, ReplyError, ScanResult, Version, scan_result
from mailgate.inspect.scanner_sockets import Connect, directly
from mailgate.settings import Listen

CHUNK = 64 << 10
WINDOW = 8  # requests under way at once: one message must not fill clamd's queue (MaxQueue 100)
_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("3i")  # struct ucred, unix(7)


class ScannerLostError(ClamdConnectionError):  # type: ignore[misc]
    """The connection failed, ended or hung before every answer was there. `is_timeout`: the deadline passed;
    `was_reset`: a stream was reset, as clamd does to one above its StreamMaxLength."""

    def __init__(self, text: str, *, is_timeout: bool = False, was_reset: bool = False) -> None:
        super().__init__(text)
        self.is_timeout = is_timeout
        self.was_reset = was_reset


class Sample(Struct, frozen=True):
    """What is to be scanned: `pieces` one after the other. `digest` (sha256 hex) is empty where a verdict is not worth
    remembering."""

    pieces: tuple[Buffer, ...]
    digest: str = ""


class Client(Protocol):
    """One scanner endpoint with at most one open session. `deadline` as time.monotonic()."""

    name: str

    def open(self, deadline: float) -> None: ...

    @property
    def peer(self) -> object: ...

    def scan(self, samples: Mapping[int, Sample], results: dict[int, ScanResult], deadline: float) -> None: ...

    def ask_version(self, deadline: float) -> Version: ...

    def disconnect(self) -> None: ...


class _Session(ClamdNetworkSocket):  # type: ignore[misc]
    """A kept IDSESSION; content goes as a stream where subclasses know no better way."""

    name: str
    _connect: Connect
    clamd_socket: socket.socket | None = None
    _streams = True
    _peer: object = None
    _sessions = itertools.count()

    @property
    def peer(self) -> object:
        """Whom the last session was opened with: equal for two sessions only where it is certainly the same process."""
        return self._peer

    def open(self, deadline: float) -> None:
        """A session, a new one where the last has ended. Raises ScannerLostError."""
        with self._lost():
            self._open(deadline)

    def scan(self, samples: Mapping[int, Sample], results: dict[int, ScanResult], deadline: float) -> None:
        """Put the result of each sample into `results` under its key. Raises ScannerLostError; what was answered until
        then is in `results`, but for a breach of the protocol, after which nothing of this batch counts. The next call
        opens a new session."""
        keys: dict[int, int] = {}

        def take() -> None:
            for number, text in self._receive(deadline):
                if number not in keys:
                    raise ReplyError(f"answer to unknown request {number}")
                results[keys.pop(number)] = scan_result(text)

        def void() -> None:
            for key in samples:
                results.pop(key, None)

        with self._lost(void):
            self._open(deadline)
            for key, sample in samples.items():
                while len(keys) >= WINDOW:
                    take()
                self._allow(deadline)
                self._requests += 1
                keys[self._requests] = key
                self._submit(sample)
            while keys:
                take()
            self._all_answered()

    def ask_version(self, deadline: float) -> Version:
        """Engine and signatures in use. Raises ScannerLostError."""
        with self._lost():
            self._open(deadline)
            self._requests += 1
            self._send_command("VERSION")
            replies: list[tuple[int, str]] = []
            while not replies:
                replies = self._receive(deadline)
            if len(replies) != 1 or replies[0][0] != self._requests:
                raise ReplyError(f"answers to unknown requests: {replies}")
            return Version.parse(replies[0][1])

    def disconnect(self) -> None:
        if self.clamd_socket is not None:
            self._close_socket()
            self.clamd_socket = None

    @contextmanager
    def _lost(self, on_breach: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Whatever goes wrong on the connection ends it: a half-read session must never answer a later request."""
        try:
            yield
        except ScannerLostError:
            self.disconnect()
            raise
        except TimeoutError as error:
            self.disconnect()
            raise ScannerLostError(f"{self.name}: no answer in time", is_timeout=True) from error
        except (ConnectionResetError, BrokenPipeError) as error:
            self.disconnect()
            raise ScannerLostError(f"{self.name}: {error}", was_reset=self._streams) from error
        except ReplyError as error:
            self.disconnect()
            on_breach()
            raise ScannerLostError(f"{self.name}: {error}") from error
        except (OSError, ClamdConnectionError) as error:
            self.disconnect()
            raise ScannerLostError(f"{self.name}: {error}") from error
        except BaseException:
            self.disconnect()
            raise

    def _open(self, deadline: float) -> None:
        if self.clamd_socket is not None and self._is_stale():
            self.disconnect()
        self.timeout = _remaining(deadline)
        if self.clamd_socket is None:
            self.clamd_socket = self._connect(self.name, self.timeout)
            self._peer = self._process() or next(self._sessions)
            self._replies = ReplyBuffer()
            self._requests = 0
            self._send_command("IDSESSION")

    def _process(self) -> object:
        """What tells the scanner's process from one that follows it; None where that can't be known."""
        return None

    def _is_stale(self) -> bool:
        """Between two calls nothing may be readable: it would be the end of the session, or a late answer."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    @property
    def _socket(self) -> socket.socket:
        if self.clamd_socket is None:
            raise ScannerLostError(f"{self.name}: not connected")
        return self.clamd_socket

    def _allow(self, deadline: float) -> None:
        self._socket.settimeout(_remaining(deadline))

    def _receive(self, deadline: float) -> list[tuple[int, str]]:
        self._allow(deadline)
        data = self._socket.recv(CHUNK)
        if not data:
            raise ScannerLostError(f"{self.name}: closed without an answer")
        return self._replies.feed(data)

    def _send_command(self, cmd: str, *args: str) -> None:
        self._socket.sendall(b"z" + " ".join((cmd, *args)).encode() + b"\0")

    def _all_answered(self) -> None:
        """What was submitted is read by nobody any longer."""

    def _submit(self, sample: Sample) -> None:
        """INSTREAM: chunks of length and content; an empty one ends it."""
        frames = [b"zINSTREAM\0"]
        for piece in sample.pieces:
            view = memoryview(piece)
            for at in range(0, len(view), CHUNK):
                chunk = view[at : at + CHUNK]
                self._socket.sendall(b"".join((*frames, _LENGTH.pack(len(chunk)), chunk)))
                frames.clear()
        self._socket.sendall(b"".join((*frames, _LENGTH.pack(0))))


class TcpClient(_Session):
    """INSTREAM to `host` (a name, IPv4 or IPv6 address) and `port`."""

    def __init__(self, host: str, port: int, connect: Connect = directly) -> None:
        super().__init__(host, port)
        self.name = f"tcp:{Listen(host, port)}"
        self._connect = connect

    def _receive(self, deadline: float) -> list[tuple[int, str]]:
        # clamd writes an answer in two segments with Nagle's algorithm on: a delayed ACK would cost 40 ms each time.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super()._receive(deadline)


class UnixClient(_Session, ClamdUnixSocket):  # type: ignore[misc]
    """FILDES over the Unix socket at `path`: clamd reads the content from a descriptor, nothing is copied through it.

    Whoever connects needs write permission on the socket: LocalSocketMode 666, or 660 with a LocalSocketGroup that it
    belongs to."""

    _streams = False

    def __init__(self, path: str, connect: Connect = directly) -> None:
        ClamdUnixSocket.__init__(self, path)
        self.name = f"unix:{path}"
        self._connect = connect
        self._files = MemoryFiles()

    def disconnect(self) -> None:
        super().disconnect()
        self._files.close()

    def _process(self) -> object:
        """Who listens, by its number and (where that can be seen) its start. Where systemd does (1), or somebody in
        another container (0), every session may be with a new one."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, _, _ = _CREDENTIALS.unpack(credentials)
        if process <= 1:
            return None
        try:
            status = Path(f"/proc/{process}/stat").read_text(errors="replace")
        except OSError:
            return process, ""
        return process, status.rpartition(")")[2].split()[19]  # starttime, proc(5)

    def _submit(self, sample: Sample) -> None:
        socket.send_fds(self._socket, [b"zFILDES\0\0"], [self._files.file(sample.pieces)])

    def _all_answered(self) -> None:
        self._files.keep()


def client(endpoint: str, connect: Connect = directly) -> TcpClient | UnixClient:
    """The client for `unix:PATH` or `tcp:HOST:PORT`. Raises ValueError for anything else."""
    kind, _, rest = endpoint.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return UnixClient(rest, connect)
    if kind == "tcp":
        listen = Listen.parse(rest)
        return TcpClient(listen.host, listen.port, connect)
    raise ValueError(f"{endpoint!r} is neither unix:/PATH nor tcp:HOST:PORT")


def _remaining(deadline: float) -> float:
    """Seconds until `deadline`. Raises TimeoutError where it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
