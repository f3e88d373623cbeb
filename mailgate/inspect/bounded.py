"""Work on hostile bytes in C libraries, in a forked child that the kernel stops at its limits."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

CPU_SECONDS = 2
MEMORY_BYTES = 256 << 20
_LENGTH = struct.Struct("!I")


def bounded(
    work: Callable[[int], bytes],
    count: int,
    wall_seconds: float,
    cpu_seconds: int = CPU_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> list[bytes]:
    """`work(0)` to `work(count - 1)`, run in a child with `cpu_seconds` of processor time and `memory_bytes` of memory
    for all of them. Shorter than `count` where the child was stopped: the first missing one was too much for it."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _work(work, count, send, cpu_seconds, memory_bytes)
    os.close(send)
    try:
        data = _read(receive, time.monotonic() + wall_seconds)
    finally:
        os.close(receive)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return _frames(data)


def _work(work: Callable[[int], bytes], count: int, send: int, cpu_seconds: int, memory_bytes: int) -> None:
    """Never returns: nothing of the parent's may run twice."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        with os.fdopen(send, "wb") as out:
            for number in range(count):
                body = work(number)
                out.write(_LENGTH.pack(len(body)) + body)
                out.flush()
    except BaseException:  # a missing answer says it all, and no traceback of the child may reach the log
        os._exit(1)
    os._exit(0)


def _read(receive: int, deadline: float) -> bytes:
    """Until the child ends or `deadline` passes."""
    blocks: list[bytes] = []
    poll = select.poll()
    poll.register(receive, select.POLLIN)
    while poll.poll(max(0.0, (deadline - time.monotonic()) * 1000)):
        block = os.read(receive, 1 << 16)
        if not block:
            break
        blocks.append(block)
    return b"".join(blocks)


def _frames(data: bytes) -> list[bytes]:
    frames: list[bytes] = []
    at = 0
    while at + _LENGTH.size <= len(data):
        end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
        if end > len(data):
            break
        frames.append(data[at + _LENGTH.size : end])
        at = end
    return frames
