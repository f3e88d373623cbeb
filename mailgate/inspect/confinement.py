"""What an inspector gives up before it reads the first message: it works on hostile bytes (design, "Processes").

Nothing here needs privileges: Landlock takes the files, seccomp (see `sandbox.seccomp`) every call that makes or
reaches something new. As root the account changes too. So whatever an inspector will need is loaded or open before."""

from __future__ import annotations

import codecs
import ctypes
import encodings
import importlib
import os
import pkgutil
import pwd
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.errors import UserError
from mailgate.sandbox import landlock, seccomp
from mailgate.sandbox.process import die_with, gain_nothing

DESCRIPTORS = 256
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x0800_0000, 0x1000_0000, 0x4000_0000  # linux/sched.h

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3
_FREED_BYTES = 64 << 20
_LONGEST_BLOCK = 32 << 20  # the largest that the C library allows

_LAZY = ("_strptime", "stringprep", "unicodedata", "encodings.idna", "bz2", "lzma", "zlib")
"""What the standard library imports in the middle of work."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Confined:
    """The process `pid` once it is confined, with `address_space` bytes: what can't be found out any more then."""

    pid: int
    address_space: int
    has_seccomp: bool


def confine(user: str, memory_bytes: int, parent: int) -> Confined:
    """Irrevocably: no root, no new privileges, no file, port or process that is not in reach already (Landlock, where
    the kernel has it), no network (where it may be left), at most `memory_bytes` of address space beyond today's, no
    core files; and death with the process `parent`. `bounded.give_up_calls` is the other half.

    Raises UserError where the account `user` does not exist."""
    _load()
    if os.geteuid() == 0:
        account = account_of(user)
        _leave(_CLONE_NEWNET, _CLONE_NEWIPC)
        _become(account)
    else:
        _leave(_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC)
    gain_nothing()
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
    size = address_space()
    limit(resource.RLIMIT_AS, size + memory_bytes)
    die_with(parent)  # after the change of account, which undoes it
    landlock.restrict()
    return Confined(os.getpid(), size, seccomp.is_supported())


def missing() -> list[str]:
    """What this kernel, or the container around it, has not, of all that confines an inspector."""
    has = {"Landlock": bool(landlock.version()), "seccomp": seccomp.is_supported()}
    return [name for name, there in has.items() if not there]


def account_of(user: str) -> pwd.struct_passwd:
    """The account that an inspector takes when it is started as root. UserError where there is none of this name."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise UserError(f"MAILGATE_INSPECTOR_USER: there is no account {user!r}; create it or name another") from None


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


def _load() -> None:
    """What would be opened on its first use: Python's codecs and lazy modules, the time zone."""
    for name in _LAZY:
        importlib.import_module(name)
    for module in pkgutil.iter_modules(encodings.__path__):
        with suppress(LookupError):
            codecs.lookup(module.name)
    time.tzset()


def _leave(*namespaces: int) -> None:
    """For new ones. A unit or a container may forbid it, and a kernel may not have them: nothing depends on it."""
    for each in namespaces:
        _libc.unshare(each)


def _become(account: pwd.struct_passwd) -> None:
    os.initgroups(account.pw_name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


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
