"""seccomp: which system calls an inspector may make from now on. What is not listed here it can't do, whoever it is.

No file is opened and no program run, no socket made, bound, connected or listened on, no process or thread made, traced
or signalled, nothing mounted; there is no io_uring and no bpf. What is left works on descriptors that are there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import signal
import socket
from collections.abc import Mapping
from functools import cache

from mailgate.sandbox.bpf import Argument, assemble, refuse

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_GET_SECCOMP = 21
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_PROT_EXEC = 4
_MSG_FASTOPEN = 0x2000_0000  # connects where it sends
_CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID = 0x0020_0000, 0x0100_0000  # linux/sched.h
_FORK = signal.SIGCHLD | _CLONE_CHILD_CLEARTID | _CLONE_CHILD_SETTID  # what fork(3) asks for: no thread, no namespace
_INT = 0xFFFF_FFFF
_NONE_ABOVE = 451  # newer calls than these are unknown here

_X86_64, _AARCH64 = 0xC000_003E, 0xC000_00B7  # AUDIT_ARCH_*, linux/audit.h
_ARCHITECTURES = {"x86_64": (_X86_64, 0), "aarch64": (_AARCH64, 1)}

# Numbers: asm/unistd_64.h of x86-64, asm-generic/unistd.h for aarch64 (None: it has no such call).
_WORK: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66),
    "pread64": (17, 67), "pwrite64": (18, 68), "pwritev": (296, 70), "pwritev2": (328, 287),
    "lseek": (8, 62), "fstat": (5, 80), "ftruncate": (77, 46), "close": (3, 57), "close_range": (436, 436),
    "memfd_create": (319, 279), "fcntl": (72, 25), "ioctl": (16, 29),
    "poll": (7, None), "ppoll": (271, 73),
    "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "recvfrom": (45, 207),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "shutdown": (48, 210), "getsockname": (51, 204),
    "getpeername": (52, 205), "setsockopt": (54, 208), "getsockopt": (55, 209),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214),
    "madvise": (28, 233), "futex": (202, 98), "sched_yield": (24, 124), "getrandom": (318, 278),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "tgkill": (234, 131),
    "setitimer": (38, 103), "getitimer": (36, 102), "restart_syscall": (219, 128),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "getrusage": (98, 165),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "sysinfo": (99, 179),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
_FORKING: dict[str, tuple[int, int | None]] = {
    "clone": (56, 220), "wait4": (61, 260), "kill": (62, 129), "socketpair": (53, 199),
    "rt_sigaction": (13, 134), "prctl": (157, 167), "prlimit64": (302, 261),
    "set_robust_list": (273, 99), "rseq": (334, 293),
}  # fmt: skip

_CONDITIONS: dict[str, tuple[Argument, ...]] = {
    # fcntl can also make the kernel send any signal to any process (F_SETOWN, F_SETSIG), ioctl as well
    "fcntl": (
        Argument(1, (fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL, fcntl.F_SETLK, fcntl.F_SETLKW), _INT),
    ),
    "ioctl": (Argument(1, (0x5421,), _INT),),  # FIONBIO
    "mmap": (Argument(2, (0,), _PROT_EXEC),),
    "mprotect": (Argument(2, (0,), _PROT_EXEC),),
    "sendto": (Argument(3, (0,), _MSG_FASTOPEN), Argument(4, (0,))),
    "sendmsg": (Argument(2, (0,), _MSG_FASTOPEN),),
    "setsockopt": (
        Argument(1, (socket.IPPROTO_TCP,), _INT),
        Argument(2, (socket.TCP_NODELAY, socket.TCP_QUICKACK), _INT),
    ),
    "clone": (Argument(0, (_FORK,)),),
    "prctl": (Argument(0, (_PR_SET_PDEATHSIG, _PR_SET_SECCOMP), _INT),),
    "prlimit64": (Argument(0, (0,), _INT),),
}

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def is_supported() -> bool:
    """Has this kernel seccomp's filters, on a machine whose system calls are known here?"""
    if platform.machine() not in _ARCHITECTURES or _libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        return False
    # without a program the kernel says EFAULT where it would take one, EINVAL where it knows no filters
    asked = _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    return asked < 0 and ctypes.get_errno() == errno.EFAULT


def restrict(*, may_fork: bool = False) -> None:
    """From now on this process makes only the calls listed here, whoever it is; `may_fork`: and can make children, each
    with this very filter. It must have set no_new_privs. Raises OSError where the kernel refuses."""
    program = filter_of(platform.machine(), os.getpid(), may_fork=may_fork)
    given = _Program(len(program) // 8, program)
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(given), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


@cache
def filter_of(machine: str, pid: int, *, may_fork: bool) -> bytes:
    """The filter for the process `pid`, which may signal itself (abort(3) does). Pure. KeyError for another machine."""
    architecture, column = _ARCHITECTURES[machine]
    conditions: Mapping[str, tuple[Argument, ...]] = _CONDITIONS | {"tgkill": (Argument(0, (pid,), _INT),)}
    numbers = _WORK | _FORKING if may_fork else _WORK
    rules = {number: conditions.get(name, ()) for name, both in numbers.items() if (number := both[column]) is not None}
    return assemble(architecture, rules, refuse(errno.EPERM), (_NONE_ABOVE, refuse(errno.ENOSYS)))
