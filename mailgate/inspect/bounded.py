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

from mailgate.inspect.confinement import address_space, close_inherited, limit

CPU_SECONDS = 2.0
MEMORY_BYTES = 256 << 20
_JOBS = 500  # then a new child: what C libraries lose must not add up
_LENGTH = struct.Struct("!I")
_BLOCK = 1 << 18

Work = Callable[[Sequence[bytes]], Iterator[bytes]]


class BoundedChild:
    """Runs `work`, which yields one answer for each content, with `cpu_seconds` of processor time for each call of
    `run` and `memory_bytes` of memory.

    The child is forked when first needed and kept, since a fork costs more than most work; a new one follows one that
    was stopped. It holds none of the parent's descriptors and ends with the parent."""

    def __init__(self, work: Work, cpu_seconds: float = CPU_SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._work = work
        self._cpu_seconds = cpu_seconds
        self._memory_bytes = memory_bytes
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
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._jobs = 0
        self._child = os.fork()
        if self._child == 0:
            self._serve(theirs)
        theirs.close()
        self._link = ours
        return ours

    def _serve(self, link: socket.socket) -> None:
        """The child's life. Never returns: nothing of the parent's may run twice."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            close_inherited(link.fileno())
            limit(resource.RLIMIT_AS, address_space() + self._memory_bytes)
            while True:
                (count,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
                contents = [_receive(link) for _ in range(count)]
                signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)
                for answer in self._work(contents):
                    link.sendall(_LENGTH.pack(len(answer)) + answer)
                signal.setitimer(signal.ITIMER_PROF, 0)
        except BaseException:  # a missing answer says it all, and no traceback of the child may reach the log
            os._exit(1)


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
