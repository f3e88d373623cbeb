"""Landlock: which files, ports and processes this process can still reach (landlock(7), kernel 5.13 and later)."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_RULESET = struct.Struct("=QQQ")  # struct landlock_ruleset_attr: files, net (from 4), scopes (from 6)
_BENEATH = struct.Struct("=Qi")  # struct landlock_path_beneath_attr

_READ_FILE, _READ_DIR, _EXECUTE = 1 << 2, 1 << 3, 1 << 0
_ON_FILES_ONLY = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15  # execute, write, read, truncate, ioctl
_FILES_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_PORTS = 1 << 0 | 1 << 1  # bind, connect by TCP (4)
_SCOPES = 1 << 0 | 1 << 1  # abstract Unix sockets, signals (6)

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Landlock's version in this kernel; 0 where it has none, or it is switched off."""
    found: int = _libc.syscall(_CREATE_RULESET, None, 0, _VERSION)
    return max(found, 0)


def restrict(readable: Iterable[Path] = (), writable: Iterable[Path] = (), *, ports: bool = False) -> bool:
    """From now on no file is opened but below `readable` and `writable`, no process outside traced or (from version 6
    on) signalled, and without `ports` no TCP port bound or connected (from version 4 on). Descriptors that are open
    keep what they can. False where the kernel has no Landlock. It must have set no_new_privs.

    Raises OSError where the kernel refuses."""
    has = version()
    if not has:
        return False
    files = max(bits for since, bits in _FILES_BY_VERSION.items() if since <= has)
    handled = (files, 0 if ports or has < 4 else _PORTS, _SCOPES if has >= 6 else 0)
    # an older kernel takes a shorter structure
    given = _RULESET.pack(*handled)[: 8 if has < 4 else 16 if has < 6 else 24]
    ruleset = _call(_CREATE_RULESET, given, len(given), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(ruleset, path, files & ~_EXECUTE)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Nothing is allowed where the path does not exist."""
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not path.is_dir():
            rights &= _ON_FILES_ONLY
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, _BENEATH.pack(rights, at), 0)
    finally:
        os.close(at)


def _call(number: int, *arguments: int | bytes) -> int:
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    made: int = _libc.syscall(number, *given)
    if made < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"landlock: {errno.errorcode.get(error, error)}")
    return made
