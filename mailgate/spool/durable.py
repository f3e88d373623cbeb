"""The syncs of the spool. A failed one ends the process: the kernel may have dropped the bytes, a retry would lie."""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

EXIT_STATUS = 74  # EX_IOERR of sysexits.h

_log = logging.getLogger(__name__)
_SYNC_FILE_RANGE_WRITE = 2


def sync_data(descriptor: int, name: str | Path) -> None:
    """The file's bytes and size are on stable storage, or the process ends."""
    try:
        os.fdatasync(descriptor)
    except OSError as error:
        die(f"fdatasync {name}: {error.strerror}")


def sync_folder(folder: str | Path) -> None:
    """The names in `folder` are on stable storage, or the process ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        die(f"fsync {folder}: {error.strerror}")
    finally:
        os.close(descriptor)


def die(what: str) -> NoReturn:
    """Ends the process at once; what was not answered is not promised, and recovery starts from what is on the disk."""
    _log.critical("stable storage failed, the process ends: %s", what)
    logging.shutdown()
    os._exit(EXIT_STATUS)


def _load_sync_file_range() -> Callable[[int], object]:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return lambda descriptor: None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return lambda descriptor: call(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)


start_writeback = _load_sync_file_range()
"""Lets the disk begin with a file: a hint that halves the cost of syncing many (errors show at the sync)."""
