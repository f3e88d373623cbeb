"""What an inspector gives up before it reads the first message: it works on hostile bytes (design, "Processes")."""

from __future__ import annotations

import codecs
import ctypes
import encodings
import os
import pkgutil
import pwd
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.errors import UserError

DESCRIPTORS = 256
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNET = 0x40000000  # linux/sched.h

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3
_FREED_BYTES = 64 << 20
_LONGEST_BLOCK = 32 << 20  # the largest that the C library allows

_libc = ctypes.CDLL(None, use_errno=True)


def confine(user: str, memory_bytes: int, parent: int, *, needs_network: bool) -> None:
    """Irrevocably: no root, no new privileges, no network (as root, unless a scanner is reached by TCP), at most
    `memory_bytes` of address space beyond today's, no core files; and death with the process `parent`.

    Raises UserError where the account `user` does not exist."""
    if os.geteuid() == 0:
        _load_codecs()
        if not needs_network:
            _libc.unshare(_CLONE_NEWNET)  # a container may forbid it; the account's own limits hold all the same
        _become(user)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
    limit(resource.RLIMIT_AS, address_space() + memory_bytes)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # last: a change of account clears it
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")


def close_inherited(*keep: int) -> None:
    """Close every descriptor but the standard ones and those to `keep`."""
    start = 3
    for descriptor in sorted(keep):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


@contextmanager
def timed(limits: InspectLimits) -> Iterator[None]:
    """The process dies where the block takes longer: by SIGPROF for processor time, by SIGALRM for wall time."""
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def keep_freed_memory() -> None:
    """Freed memory stays with the process, instead of being cleared by the kernel anew for every large message."""
    _libc.mallopt(_M_TRIM_THRESHOLD, _FREED_BYTES)
    _libc.mallopt(_M_MMAP_THRESHOLD, _LONGEST_BLOCK)


def _load_codecs() -> None:
    """Python imports each codec on its first use, from files that the account may not be able to read."""
    for module in pkgutil.iter_modules(encodings.__path__):
        with suppress(LookupError):
            codecs.lookup(module.name)


def _become(user: str) -> None:
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise UserError(f"MAILGATE_INSPECTOR_USER: there is no account {user!r}; create it or name another") from None
    os.initgroups(user, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def limit(what: int, most: int) -> None:
    """Set soft and hard limit of the resource `what`; a lower hard limit stays."""
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))


def address_space() -> int:
    """Bytes of address space that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
