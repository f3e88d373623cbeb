"""The data directory: its folders, and the lock that says that somebody works on it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from mailgate.model.errors import UserError
from mailgate.ops import privacy
from mailgate.settings import Settings

LOCK_NAME = "lock"


class InUseError(UserError):
    """Another mailgate works on this data directory."""


def metrics_dir(settings: Settings) -> Path:
    return settings.run_dir / "metrics"


def prepare(settings: Settings) -> None:
    """Make the folders that the processes share, and close to others what is open to them. UserError says which one
    can't be made or closed, and what to do."""
    try:
        for folder in (
            settings.data_dir,
            settings.run_dir,
            settings.run_dir / "inspect",
            metrics_dir(settings),
            settings.staging_dir,
        ):
            privacy.make_folder(folder)
        privacy.close(settings.data_dir)
        probe = settings.data_dir / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"MAILGATE_DATA_DIR {settings.data_dir}: {error.filename or ''}: {error.strerror}. "
            "Name a folder that this account may write to"
        ) from None


def lock(data_dir: Path, patience: float = 5.0) -> int:
    """Take the lock and return its descriptor; it is held until every process that inherited the descriptor is gone.

    InUseError at once where the holder lives; up to `patience` seconds later where it was killed and the processes it
    started are still going down.
    """
    path = data_dir / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. Name a folder that this account may write to") from None
    deadline = time.monotonic() + patience
    while not _try_lock(descriptor):
        pid = _written(descriptor)
        if _lives(pid) or time.monotonic() > deadline:
            os.close(descriptor)
            raise InUseError(f"another mailgate (process {pid or '?'}) runs on {data_dir}; stop it first")
        time.sleep(0.02)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def holder(data_dir: Path) -> int | None:
    """The process that works on this folder now: a gateway's supervisor, or a command."""
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _try_lock(descriptor):
            return None
        pid = _written(descriptor)
        return int(pid) if _lives(pid) else None
    finally:
        os.close(descriptor)


def _written(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: str) -> bool:
    return pid.isdigit() and Path("/proc", pid).exists()
