"""The inspector process: takes one message at a time, answers with its Inspection (protocol: `mailgate.ipc.calls`).

Every request and answer is 4 bytes length (big-endian) and msgpack; the descriptor of a large message comes by
SCM_RIGHTS with the first bytes of its request.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from mailgate.inspect import clamd, scanner_sockets
from mailgate.inspect.bounded import give_up_calls
from mailgate.inspect.caching_scanner import CachingScanner
from mailgate.inspect.confinement import account_of, close_inherited, confine, keep_freed_memory, timed
from mailgate.inspect.containers import LISTING, ContainerLister
from mailgate.inspect.inspection import inspect
from mailgate.inspect.reports import READING, read_reports
from mailgate.inspect.scanner_sockets import ByRequest, Connect, directly
from mailgate.inspect.scanners import LARGEST, ScannerPool
from mailgate.inspect.verdict_cache import VerdictCache
from mailgate.ipc.inspect_calls import (
    Inspect,
    InspectAnswer,
    Inspected,
    InspectFailed,
    InspectLimits,
    InspectorRequest,
    ReadReports,
    ReportsAnswer,
    ReportsRead,
)
from mailgate.model.errors import UnavailableError
from mailgate.model.verdict import Inspection, Unscanned, not_scanned
from mailgate.sandbox.process import die_with

MEMORY = 1 << 30
LONGEST_REQUEST = 1 << 20
FRAME_SECONDS = 10.0  # for the rest of a request whose first bytes are there
_LENGTH = struct.Struct("!I")
_KINDS = (LISTING, READING)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(InspectorRequest).decode

Guard = Callable[[InspectLimits], AbstractContextManager[None]]


def main(
    listener_fd: int,
    endpoints: Sequence[str],
    user: str,
    memory_bytes: int = MEMORY,
    scanners_fd: int | None = None,
    largest: int = LARGEST,
) -> None:
    """Run one inspector on the listening Unix socket `listener_fd` until SIGTERM or the parent's death. After SIGHUP
    the scanners prove themselves anew, and no verdict is remembered.

    `endpoints` as in settings.clamd; as root it becomes `user`. On `scanners_fd` somebody connects to the endpoints for
    it (see scanner_sockets); without it a process made here does. `largest`: see canaries.proof."""
    parent = os.getppid()
    close_inherited(*(each for each in (listener_fd, scanners_fd) if each is not None))
    stop, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    for told in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, lambda number, frame: None)  # the wake-up byte is what the loop goes by
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    for mortal in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(mortal, signal.SIG_DFL)
    scanners = _connected_by_a_child(endpoints) if scanners_fd is None else socket.socket(fileno=scanners_fd)
    inspection = inspector(endpoints, largest, ByRequest(scanners, endpoints))
    keep_freed_memory()
    confined = confine(user, memory_bytes, parent)
    gc.freeze()
    give_up_calls(_KINDS, confined)
    with socket.socket(fileno=listener_fd) as listener:
        serve(listener, stop, inspection, timed)


def _connected_by_a_child(endpoints: Sequence[str]) -> socket.socket:
    ours, theirs = scanner_sockets.channel()
    parent = os.getpid()
    if os.fork() == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            close_inherited(theirs.fileno())
            die_with(parent)
            scanner_sockets.answer(theirs, endpoints)
        finally:
            os._exit(0)
    theirs.close()
    return ours


def inspect_once(
    raw: bytes, limits: InspectLimits, endpoints: Sequence[str], user: str, largest: int = LARGEST
) -> Inspection:
    """What an inspector would answer, from a child of this process that is confined like one. `largest`: see
    canaries.proof.

    Raises UnavailableError where the child did not survive it, UserError where root finds no account `user`."""
    if os.geteuid() == 0:
        account_of(user)
    ours, theirs = scanner_sockets.channel()
    answers, told = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            close_inherited(theirs.fileno(), told)
            inspection = inspector(endpoints, largest, ByRequest(theirs, endpoints))
            give_up_calls(_KINDS, confine(user, MEMORY, parent))
            body = _encode(answer(Inspect(len(raw), raw, limits), (), inspection, timed))
            theirs.close()
            with os.fdopen(told, "wb") as file:
                file.write(body)
        finally:
            os._exit(0)
    theirs.close()
    os.close(told)
    scanner_sockets.answer(ours, endpoints)
    ours.close()
    with os.fdopen(answers, "rb") as file:
        body = file.read()
    os.waitpid(child, 0)
    answered: InspectAnswer = (
        msgspec.msgpack.decode(body, type=InspectAnswer) if body else InspectFailed("the inspection was ended")
    )
    if isinstance(answered, InspectFailed):
        raise UnavailableError(f"the message could not be inspected: {answered.text}")
    return answered.inspection


def serve_in_thread(listener: socket.socket, endpoints: Sequence[str], largest: int = LARGEST) -> InThread:
    """The same in a daemon thread of this process, without any limits of time and memory."""
    return InThread(listener, inspector(endpoints, largest))


class InThread:
    """Called, it ends the thread."""

    def __init__(self, listener: socket.socket, inspection: Inspector) -> None:
        self._told, self._tell = socket.socketpair()
        work = (listener, self._told, inspection, nullcontext)
        self._thread = threading.Thread(target=serve, args=work, name="inspector", daemon=True)
        self._thread.start()

    def reload(self) -> None:
        self._tell.send(bytes((signal.SIGHUP,)))

    def __call__(self) -> None:
        self._tell.send(bytes((signal.SIGTERM,)))
        self._thread.join()
        self._told.close()
        self._tell.close()


class Inspector:
    """The inspection of one worker, with its scanners and memories."""

    def __init__(self, scanner: CachingScanner) -> None:
        self._scanner = scanner
        self._list_containers = ContainerLister()

    def __call__(self, raw: bytes, limits: InspectLimits) -> Inspection:
        return inspect(raw, limits, self._scanner, self._list_containers)

    def reload(self) -> None:
        """The scanners prove themselves anew, and what they said is forgotten."""
        self._scanner.doubt()


def inspector(endpoints: Sequence[str], largest: int = LARGEST, connect: Connect = directly) -> Inspector:
    """`connect` connects to the scanners; `largest`: see canaries.proof.

    Raises ValueError for an endpoint that is neither unix:/PATH nor tcp:HOST:PORT."""
    clients = [clamd.client(each, connect) for each in endpoints]
    return Inspector(CachingScanner(ScannerPool(clients, largest=largest), VerdictCache()))


def serve(listener: socket.socket, told: socket.socket, inspection: Inspector, guard: Guard) -> None:
    """Accept, and answer the requests of all connections one after the other, until the number of a signal comes in by
    `told`; SIGHUP reloads instead, between two requests."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    poll = select.poll()
    poll.register(told, select.POLLIN)
    poll.register(listener, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if told.fileno() in ready:
            ready.remove(told.fileno())
            if any(number != signal.SIGHUP for number in told.recv(64)):
                break
            inspection.reload()
        for descriptor in ready:
            if descriptor == listener.fileno():
                _accept(listener, connections, poll)
            elif not _serve_one(connections[descriptor], inspection, guard):
                poll.unregister(descriptor)
                connections.pop(descriptor).close()
    for connection in connections.values():
        connection.close()


def _accept(listener: socket.socket, connections: dict[int, socket.socket], poll: select.poll) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:  # it hung up while it waited
        return
    connection.settimeout(FRAME_SECONDS)
    connections[connection.fileno()] = connection
    poll.register(connection, select.POLLIN)


def _serve_one(connection: socket.socket, inspection: Inspector, guard: Guard) -> bool:
    """Answer one request; False where the connection is at its end."""
    descriptors: list[int] = []
    try:
        request = _receive(connection, descriptors)
        if request is None:
            return False
        body = _encode(answer(request, descriptors, inspection, guard))
        connection.sendall(_LENGTH.pack(len(body)) + body)
    except (OSError, EOFError, msgspec.DecodeError):
        return False
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return True


def _receive(connection: socket.socket, descriptors: list[int]) -> InspectorRequest | None:
    """The next request, None at the end of the connection; received descriptors are appended to `descriptors`."""
    data, received, _, _ = socket.recv_fds(connection, 128 << 10, 1)
    descriptors += received
    if not data:
        return None
    frame = bytearray(data)
    while len(frame) < _LENGTH.size or len(frame) < _LENGTH.size + _LENGTH.unpack_from(frame)[0]:
        if len(frame) > LONGEST_REQUEST:
            raise EOFError("the request is too long")
        data = connection.recv(128 << 10)
        if not data:
            raise EOFError("the connection ended within a request")
        frame += data
    request: InspectorRequest = _decode(memoryview(frame)[_LENGTH.size :])
    return request


def answer(
    request: InspectorRequest, descriptors: Sequence[int], inspection: Inspector, guard: Guard
) -> InspectAnswer | ReportsAnswer:
    """The Inspection or the reports; InspectFailed for whatever the parser did not survive. Out of memory is a
    limit."""
    try:
        with guard(request.limits):
            raw = request.inline if request.inline is not None else _staged(request.size, descriptors)
            if isinstance(request, ReadReports):
                return ReportsRead(read_reports(raw))
            return Inspected(inspection(raw, request.limits))
    except MemoryError:
        if isinstance(request, ReadReports):
            return InspectFailed("more memory needed than an inspector has")
        return Inspected(not_scanned(Unscanned.LIMIT, request.size, "more memory needed than an inspector has"))
    except Exception as error:
        return InspectFailed(f"{type(error).__name__}: {error}"[:500])


def _staged(size: int, descriptors: Sequence[int]) -> bytes:
    """The staged file; its offset is left alone, since the edge holds the same open file."""
    if not descriptors:
        raise EOFError("a large message came without its descriptor")
    blocks: list[bytes] = []
    at = 0
    while at < size:
        block = os.pread(descriptors[0], size - at, at)
        if not block:
            raise EOFError(f"the staged file ends at {at} of {size} bytes")
        blocks.append(block)
        at += len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)
