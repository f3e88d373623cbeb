"""Stands in for an inspector that a message has taken over: tries, from inside, what an attacker would.

Loaded before the inspector is confined, since it can't be afterwards; then `attempts` runs in place of the inspection.
Each attempt that came through says how far; the others name the error of the call that stopped them."""

from __future__ import annotations

import base64
import ctypes
import errno
import fcntl
import json
import os
import platform
import re
import resource
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any

MARK = b"TAKEN-OVER "
_libc = ctypes.CDLL(None, use_errno=True)

# asm/unistd_64.h and asm-generic/unistd.h
_CALLS: dict[str, tuple[int, int]] = {
    "open_by_handle_at": (304, 265), "openat2": (437, 437), "name_to_handle_at": (303, 264),
    "newfstatat": (262, 79), "readlinkat": (267, 78), "getdents64": (217, 61), "unlinkat": (263, 35),
    "renameat2": (316, 276), "linkat": (265, 37), "symlinkat": (266, 36), "mkdirat": (258, 34), "mknodat": (259, 33),
    "fchmodat": (268, 53), "fchownat": (260, 54), "truncate": (76, 45), "chdir": (80, 49), "inotify_init1": (294, 26),
    "execve": (59, 221), "execveat": (322, 281), "clone": (56, 220), "clone3": (435, 435),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_sigaction": (13, 134), "prlimit64": (302, 261), "setpriority": (141, 140), "sched_setaffinity": (203, 122),
    "io_uring_setup": (425, 425), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "mount": (165, 40), "umount2": (166, 39), "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51),
    "pivot_root": (155, 41), "fsopen": (430, 430), "open_tree": (428, 428), "move_mount": (429, 429),
    "setuid": (105, 146), "setgid": (106, 144), "setgroups": (116, 159), "capset": (126, 91), "personality": (135, 92),
    "seccomp": (317, 277), "landlock_restrict_self": (446, 446), "prctl": (157, 167),
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "connect": (42, 203), "listen": (50, 201),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_secret": (447, 447), "pkey_mprotect": (329, 288), "init_module": (175, 105), "kexec_load": (246, 104),
    "reboot": (169, 142), "sethostname": (170, 161), "settimeofday": (164, 170), "swapon": (167, 224),
    "quotactl": (179, 60), "acct": (163, 89), "syslog": (103, 116), "fanotify_init": (300, 262),
}  # fmt: skip
_COLUMN = 0 if platform.machine() == "x86_64" else 1
_AT_FDCWD = -100
_MSG_FASTOPEN = 0x2000_0000


class StoppedError(Exception):
    """The call failed with this errno."""


def _call(name: str, *arguments: int | bytes | None) -> int:
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    made: int = _libc.syscall(_CALLS[name][_COLUMN], *given)
    if made < 0:
        raise StoppedError(errno.errorcode[ctypes.get_errno()])
    return made


def attempts(targets: dict[str, Any]) -> dict[str, str]:
    """`files`, `folders`, `sockets` (paths), `processes` (ids of others) and `ports` (TCP, on 127.0.0.1)."""
    tried: dict[str, str] = {}

    def attempt(what: str, act: Callable[[], object]) -> None:
        try:
            tried[what] = f"DONE: {act()!r}"
        except StoppedError as error:
            tried[what] = str(error)
        except OSError as error:
            tried[what] = errno.errorcode.get(error.errno or 0, str(error))
        except ValueError as error:  # how the module `resource` says EPERM
            tried[what] = str(error)

    for path in (*targets["files"], "/etc/passwd", "/proc/self/environ", "/proc/self/status"):
        attempt(f"read {path}", lambda path=path: os.read(os.open(path, os.O_RDONLY), 1))
        attempt(f"openat2 {path}", lambda path=path: _call("openat2", _AT_FDCWD, path.encode(), bytes(24), 24))
        attempt(f"stat {path}", lambda path=path: _call("newfstatat", _AT_FDCWD, path.encode(), bytes(144), 0))
        attempt(
            f"handle of {path}",
            lambda path=path: _call("name_to_handle_at", _AT_FDCWD, path.encode(), bytes(200), bytes(8), 0),
        )
        attempt(
            f"link {path}", lambda path=path: _call("linkat", _AT_FDCWD, path.encode(), _AT_FDCWD, b"/tmp/taken", 0)
        )
        attempt(f"delete {path}", lambda path=path: _call("unlinkat", _AT_FDCWD, path.encode(), 0))
        attempt(f"truncate {path}", lambda path=path: _call("truncate", path.encode(), 0))
        attempt(f"write {path}", lambda path=path: os.open(path, os.O_WRONLY))
    for path in (*targets["folders"], "/", "/tmp", "/proc", "/proc/self/fd"):
        attempt(f"list {path}", lambda path=path: list(os.scandir(path)))
        attempt(f"make a file in {path}", lambda path=path: os.open(f"{path}/taken", os.O_CREAT | os.O_WRONLY))
    _on_others(targets["processes"], attempt)
    _by_network(targets, attempt)
    _by_force(attempt)
    return tried


def _on_others(processes: list[int], attempt: Callable[[str, Callable[[], object]], None]) -> None:
    for pid in {*processes, os.getppid(), 1} - {os.getpid()}:
        for file in ("environ", "mem", "maps", "status", "cmdline"):
            attempt(f"read /proc/{pid}/{file}", lambda pid=pid, file=file: os.open(f"/proc/{pid}/{file}", os.O_RDONLY))
        attempt(f"write /proc/{pid}/mem", lambda pid=pid: os.open(f"/proc/{pid}/mem", os.O_RDWR))
        attempt(f"list /proc/{pid}/fd", lambda pid=pid: list(os.scandir(f"/proc/{pid}/fd")))
        attempt(f"ptrace {pid}", lambda pid=pid: _call("ptrace", 16, pid, 0, 0))
        attempt(f"ptrace seize {pid}", lambda pid=pid: _call("ptrace", 0x4206, pid, 0, 0))
        for call in ("process_vm_readv", "process_vm_writev"):
            attempt(f"{call} {pid}", lambda pid=pid, call=call: _call(call, pid, bytes(16), 1, bytes(16), 1, 0))
        attempt(f"kcmp {pid}", lambda pid=pid: _call("kcmp", pid, os.getpid(), 0, 0, 0))
        attempt(f"pidfd of {pid}", lambda pid=pid: _call("pidfd_open", pid, 0))
        for number in (0, signal.SIGKILL) if pid in processes else (0,):
            attempt(f"kill -{number} {pid}", lambda pid=pid, number=number: _call("kill", pid, number))
            attempt(f"tkill -{number} {pid}", lambda pid=pid, number=number: _call("tkill", pid, number))
            attempt(f"tgkill -{number} {pid}", lambda pid=pid, number=number: _call("tgkill", pid, pid, number))
            attempt(
                f"queue {number} {pid}",
                lambda pid=pid, number=number: _call("rt_sigqueueinfo", pid, number, bytes(128)),
            )
        attempt(f"own a descriptor by {pid}", lambda pid=pid: fcntl.fcntl(0, fcntl.F_SETOWN, pid))
        attempt(f"priority of {pid}", lambda pid=pid: _call("setpriority", 0, pid, 19))
        attempt(f"limits of {pid}", lambda pid=pid: _call("prlimit64", pid, 7, struct.pack("QQ", 0, 0), None))
    attempt("signal everybody", lambda: _call("kill", -1, 0))
    attempt("signal the group", lambda: _call("kill", 0, 0))
    attempt("a signal by SIGIO", lambda: fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL))


def _by_network(targets: dict[str, Any], attempt: Callable[[str, Callable[[], object]], None]) -> None:
    for name, family in (
        ("unix", 1),
        ("inet", 2),
        ("inet6", 10),
        ("netlink", 16),
        ("packet", 17),
        ("alg", 38),
        ("vsock", 40),
    ):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            attempt(f"socket {name} {kind}", lambda family=family, kind=kind: _call("socket", family, kind, 0))
    attempt("socketpair", socket.socketpair)
    addresses = {path: struct.pack("=H", 1) + path.encode() + b"\0" for path in targets["sockets"]}
    addresses |= {
        f"port {port}": struct.pack("=H", 2) + struct.pack("!H4s8x", port, b"\x7f\0\0\1") for port in targets["ports"]
    }
    for descriptor in range(256):
        try:
            fcntl.fcntl(descriptor, fcntl.F_GETFD)
        except OSError:
            continue
        attempt(f"listen on {descriptor}", lambda descriptor=descriptor: _call("listen", descriptor, 1))
        attempt(f"disconnect {descriptor}", lambda descriptor=descriptor: _call("connect", descriptor, bytes(16), 16))
        for name, address in addresses.items():
            attempt(f"connect {descriptor} to {name}", lambda d=descriptor, a=address: _call("connect", d, a, len(a)))
            attempt(f"bind {descriptor} to {name}", lambda d=descriptor, a=address: _call("bind", d, a, len(a)))
            for flags in (0, _MSG_FASTOPEN):
                attempt(
                    f"send from {descriptor} to {name} with {flags:x}",
                    lambda d=descriptor, a=address, f=flags: _send(d, a, f),
                )


def _send(descriptor: int, address: bytes, flags: int) -> int:
    sent: int = _libc.sendto(descriptor, b"x", 1, flags | socket.MSG_NOSIGNAL, address, len(address))
    if sent < 0:
        raise StoppedError(errno.errorcode[ctypes.get_errno()])
    return sent


def _by_force(attempt: Callable[[str, Callable[[], object]], None]) -> None:
    program = os.memfd_create("program", 0)
    os.write(program, b"#!/bin/sh\n")
    attempt("exec a program", lambda: os.execv("/bin/true", ["true"]))
    attempt("exec a memory file", lambda: _call("execveat", program, b"", None, None, 0x1000))
    attempt("fork", os.fork)
    attempt("a thread", lambda: _call("clone", 0x50F00, 0, 0, 0, 0))
    attempt("a namespace by clone", lambda: _call("clone", 0x1000_0000 | signal.SIGCHLD, 0, 0, 0, 0))
    attempt("clone3", lambda: _call("clone3", bytes(88), 88))
    attempt("root", lambda: os.setuid(0))
    attempt("memory to run", lambda: _mmap(7))
    attempt("more memory", lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))
    attempt("no time limit", lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN))
    attempt("an old filter", lambda: _call("prctl", 22, 2, bytes(16), 0, 0))
    attempt("be traced", lambda: _call("prctl", 0x59616D61, -1, 0, 0, 0))
    attempt("unshare", lambda: _call("unshare", 0x1002_0000))
    special = {"kill", "tkill", "tgkill", "clone", "clone3", "execve", "execveat", "unshare"}
    for name in sorted(_CALLS.keys() - special):
        attempt(f"call {name}", lambda name=name: _call(name, 0, 0, 0, 0, 0, 0))


def _mmap(protection: int) -> int:
    _libc.mmap.restype = ctypes.c_void_p
    at: int = _libc.mmap(None, 4096, protection, 0x22, -1, 0)
    if at == ctypes.c_void_p(-1).value:
        raise StoppedError(errno.errorcode[ctypes.get_errno()])
    return at


def inspect(raw: bytes, *given: object) -> object:
    """In place of `mailgate.inspect.worker.inspect`: a message with the mark brings its targets."""
    found = re.search(rb"TAKEN-OVER-BY:([A-Za-z0-9+/=\r\n]+);", raw)
    if found is None:
        return _real(raw, *given)
    done = attempts(json.loads(base64.decodebytes(found[1])))
    os.write(2, MARK + json.dumps(done).encode() + b"\n")
    raise ValueError("taken over")


def order(targets: dict[str, Any]) -> bytes:
    """What a message says to bring them along."""
    encoded = base64.encodebytes(json.dumps(targets).encode())
    return b"TAKEN-OVER-BY:" + encoded.replace(b"\n", b"\r\n") + b";"


_real: Callable[..., object]


def take_over() -> None:
    """In a process that becomes an inspector."""
    global _real
    from mailgate.inspect import worker

    _real = worker.inspect
    worker.inspect = inspect  # type: ignore[assignment]
