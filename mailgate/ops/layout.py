"""The data directory: its folders, and the lock that says that somebody works on it."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from mailgate.model.errors import UserError
from mailgate.ops import privacy
from mailgate.settings import Settings

LOCK_NAME = "lock"


class InUseError(UserError):
    """Another mailgate works on this data directory."""


def metrics_dir(settings: Settings) -> Path:
    return settings.run_dir / "metrics"


def holds_data(data_dir: Path) -> bool:
    """Whether a gateway or a command has worked on it. True where that can't be seen: opening it says why."""
    try:
        return (data_dir / "registry.db").exists()
    except OSError:
        return True


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
    It lies on the folder itself, which can't be removed while it is in use; the file beside it only tells who holds it.

    InUseError at once where the holder lives; up to `patience` seconds later where it was killed and the processes it
    started are still going down.
    """
    try:
        descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"{data_dir}: {error.strerror}. Name a folder that this account may write to") from None
    deadline = time.monotonic() + patience
    try:
        while not (_try_lock(descriptor) and _take_name(data_dir)):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            pid = _named(data_dir, descriptor)
            if _lives(pid) or time.monotonic() > deadline:
                raise InUseError(f"another mailgate (process {pid or '?'}) runs on {data_dir}; stop it first")
            time.sleep(0.02)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            where = error.filename or data_dir
            raise UserError(f"{where}: {error.strerror}. Name a folder on a local file system") from None
        raise
    return descriptor


def holder(data_dir: Path) -> int | None:
    """The process that works on this folder now: a gateway's supervisor, or a command."""
    try:
        descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _try_lock(descriptor) and not _older_version_runs(data_dir):
            return None
        pid = _named(data_dir, descriptor)
        return int(pid) if _lives(pid) else None
    finally:
        os.close(descriptor)


def _take_name(data_dir: Path) -> bool:
    """Say who holds the lock, in the file that earlier versions lock: False where one of them runs."""
    descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _try_lock(descriptor):
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return True
    finally:
        os.close(descriptor)


def _older_version_runs(data_dir: Path) -> bool:
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _named(data_dir: Path, descriptor: int) -> str:
    """Who holds the lock, by its file; where that was removed, by the kernel's list of locks (proc(5))."""
    with suppress(OSError):
        return (data_dir / LOCK_NAME).read_bytes()[:32].decode("ascii", "replace").strip()
    with suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            match line.split():
                case [_, "FLOCK", _, _, pid, where, *_] if where.endswith(f":{os.fstat(descriptor).st_ino}"):
                    return pid
    return ""


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: str) -> bool:
    return pid.isdigit() and Path("/proc", pid).exists()
