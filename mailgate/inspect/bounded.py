"""Work on hostile bytes in C libraries, in a forked child that the kernel stops at its limits."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from mailgate.inspect.confinement import Confined, address_space, close_inherited, limit
from mailgate.sandbox import seccomp
from mailgate.sandbox.process import die_with

CPU_SECONDS = 2.0
MEMORY_BYTES = 256 << 20
_JOBS = 500  # then a new child: what C libraries lose must not add up
_LENGTH = struct.Struct("!I")
_BLOCK = 1 << 18

Work = Callable[[Sequence[bytes]], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`work` yields one answer for each content, with `cpu_seconds` of processor time for all of them, and with
    `memory_bytes` beyond what the process has when it is forked."""

    work: Work
    cpu_seconds: float = CPU_SECONDS
    memory_bytes: int = MEMORY_BYTES

    def serve(self, link: socket.socket, confined: Confined | None) -> NoReturn:
        """The child's life: nothing of the parent's may run twice."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            close_inherited(link.fileno())
            has = address_space() if confined is None else confined.address_space
            limit(resource.RLIMIT_AS, has + self.memory_bytes)
            if confined is not None:
                die_with(confined.pid)
                if confined.has_seccomp:
                    seccomp.restrict()
            while True:
                (count,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
                contents = [_receive(link) for _ in range(count)]
                signal.setitimer(signal.ITIMER_PROF, self.cpu_seconds)
                for answer in self.work(contents):
                    link.sendall(_LENGTH.pack(len(answer)) + answer)
                signal.setitimer(signal.ITIMER_PROF, 0)
        except BaseException:  # a missing answer says it all, and no traceback of the child may reach the log
            os._exit(1)


class BoundedChild:
    """Runs `work` within its bounds (see there).

    The child is forked when first needed and kept, since a fork costs more than most work; a new one follows one that
    was stopped. It holds none of the parent's descriptors and ends with the parent."""

    def __init__(self, work: Work, cpu_seconds: float = CPU_SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._bounds = Bounds(work, cpu_seconds, memory_bytes)
        self._child = 0
        self._jobs = 0
        self._link: socket.socket | None = None

    def run(self, contents: Sequence[bytes], wall_seconds: float) -> list[bytes]:
        """The answers in order; shorter than `contents` where the child was stopped: the first missing one was too
        much for it."""
        deadline = time.monotonic() + wall_seconds
        link = self._link or self._start()
        answers: list[bytes] = []
        try:
            link.settimeout(wall_seconds)
            link.sendall(_LENGTH.pack(len(contents)))
            for content in contents:
                link.sendall(_LENGTH.pack(len(content)))
                link.sendall(content)
            for _ in contents:
                link.settimeout(max(0.001, deadline - time.monotonic()))
                answers.append(_receive(link))
        except (OSError, EOFError):
            self.close()
        self._jobs += 1
        if self._jobs >= _JOBS:
            self.close()
        return answers

    def close(self) -> None:
        """End the child; the next `run` starts another."""
        if self._link is not None:
            self._link.close()
            self._link = None
            if _forker is not None:
                _forker.end(self._bounds)
            else:
                _end(self._child)

    def _start(self) -> socket.socket:
        self._jobs = 0
        if _forker is not None:
            self._link = _forker.start(self._bounds)
        else:
            self._child, self._link = _fork(self._bounds, None)
        return self._link


class Forker:
    """A process that forks the bounded children of one that may not fork. It reads nothing but what is to be done, and
    has one child of each kind at most; it ends with its parent.

    What the parent is when it makes the forker, each child is when it begins."""

    def __init__(self, kinds: Sequence[Bounds], confined: Confined) -> None:
        """To be made before the right to fork is given up; `confined` is this process."""
        self._kinds = list(kinds)
        self._confined = confined
        self._link, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._serve(theirs)
        theirs.close()

    def fileno(self) -> int:
        return self._link.fileno()

    def start(self, bounds: Bounds) -> socket.socket:
        """A new child's end of the line; one of this kind that still runs is ended. SystemExit where the forker is
        gone: without it this process is of no use, and it read nothing that could have ended it."""
        try:
            self._link.sendall(bytes((self._kinds.index(bounds),)))
            _, (descriptor,), _, _ = socket.recv_fds(self._link, 1, 1)
        except (OSError, ValueError):
            raise SystemExit(os.EX_TEMPFAIL) from None
        return socket.socket(fileno=descriptor)

    def end(self, bounds: Bounds) -> None:
        with contextlib.suppress(OSError):  # then `start` will say so
            self._link.sendall(bytes((_END | self._kinds.index(bounds),)))

    def _serve(self, link: socket.socket) -> NoReturn:
        children: dict[int, int] = {}
        try:
            signal.set_wakeup_fd(-1)
            close_inherited(link.fileno())
            die_with(self._confined.pid)
            confined = replace(self._confined, pid=os.getpid())
            if confined.has_seccomp:
                seccomp.restrict(may_fork=True)
            while order := link.recv(1):
                kind = order[0] & ~_END
                if kind in children:
                    _end(children.pop(kind))
                if not order[0] & _END:
                    children[kind], ours = _fork(self._kinds[kind], confined)
                    socket.send_fds(link, [order], [ours.fileno()])
                    ours.close()
        finally:
            os._exit(0)  # nothing of the parent's may run twice; the children end with this process


_END = 0x80
_forker: Forker | None = None


def give_up_calls(kinds: Sequence[Bounds], confined: Confined) -> None:
    """From now on this process makes no call but those of `seccomp`; bounded children of these kinds are made by a
    forker."""
    global _forker
    _forker = Forker(kinds, confined)
    if confined.has_seccomp:
        seccomp.restrict()


def _fork(bounds: Bounds, confined: Confined | None) -> tuple[int, socket.socket]:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        bounds.serve(theirs, confined)
    theirs.close()
    return child, ours


def _end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _receive(link: socket.socket) -> bytes:
    return _exactly(link, _LENGTH.unpack(_exactly(link, _LENGTH.size))[0])


def _exactly(link: socket.socket, size: int) -> bytes:
    """Raises EOFError where the other end is gone."""
    blocks: list[bytes] = []
    while size:
        block = link.recv(min(size, _BLOCK))
        if not block:
            raise EOFError
        blocks.append(block)
        size -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)
