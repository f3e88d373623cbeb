"""Who can read the data directory: the gateway's account, and nobody else on the machine."""

from __future__ import annotations

import itertools
import logging
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailgate.model.errors import UserError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
MOST_LOOKED_AT = 200_000

_FOLDERS = ("spool", "tenants", "policy", "tls", "transport", "run")
_FILES = ("registry.db", "registry.db-wal", "registry.db-shm", "master.key", "lock")
_NOT_ENTERED = ("mail", "acl", "content", "staging")
"""What lies in these is made with a mode of its own, one by one; and there may be millions."""

_log = logging.getLogger(__name__)  # commands have no other log than stderr, where this one goes


@dataclass(frozen=True, slots=True)
class Exposed:
    """A folder or file of the data directory that others than `owner` (a uid) may use. `mode` as of lstat(2)."""

    path: Path
    mode: int
    owner: int

    @property
    def is_ours(self) -> bool:
        return os.geteuid() in (0, self.owner)

    @property
    def closed_mode(self) -> int:
        return stat.S_IMODE(self.mode) & ~OTHERS

    @property
    def command(self) -> str:
        """What sets it right."""
        return f"chmod {self.closed_mode:04o} {shlex.quote(str(self.path))}"

    def __str__(self) -> str:
        return f"{self.path} is {stat.filemode(self.mode)}"

    def close(self) -> None:
        """OSError where that can't be done."""
        self.path.chmod(self.closed_mode)


def make_folder(path: Path) -> None:
    """With the folders above it, each made with mode 0700 (`Path.mkdir` gives its mode to the last one only)."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)


def exposed(data_dir: Path) -> Iterator[Exposed]:
    """What of the gateway's own others may read, write or enter; the folder itself first."""
    left = MOST_LOOKED_AT
    for path, found in _walk(data_dir):
        left -= 1
        if left < 0:
            return
        is_shared_on_purpose = stat.S_ISDIR(found.st_mode) and _has_acl(path)
        if found.st_mode & (stat.S_IRWXO if is_shared_on_purpose else OTHERS):
            yield Exposed(path, found.st_mode, found.st_uid)


def close(data_dir: Path) -> None:
    """Corrects what is ours. UserError where DATA_DIR, its spool or its tenants stay open, since they belong to another
    account."""
    for each in exposed(data_dir):
        if each.is_ours:
            try:
                each.close()
            except OSError as error:
                raise UserError(f"{each}, and can't be closed to others: {error.strerror}. {each.command}") from None
            _log.warning("%s, open to other accounts: closed", each)
        elif each.path in (data_dir, data_dir / "spool", data_dir / "tenants"):
            raise UserError(
                f"MAILGATE_DATA_DIR: {each} and belongs to {account(each.owner)}: others on this machine could read "
                f"mail. As root: chown {account(os.geteuid())} {shlex.quote(str(each.path))} && {each.command}; "
                "or name a folder in it, which mailgate makes for itself alone"
            )
        else:
            _log.warning("%s, open to other accounts, and %s's; as root: %s", each, account(each.owner), each.command)


def foreign(data_dir: Path) -> list[Path]:
    """What belongs to another account than the folder does: the gateway may not be able to open it."""
    try:
        owner = data_dir.stat().st_uid
    except OSError:
        return []
    looked_at = itertools.islice(_walk(data_dir), MOST_LOOKED_AT)
    return [path for path, found in looked_at if found.st_uid != owner]


def chown_line(data_dir: Path) -> str:
    """Gives all of it back to whose it is."""
    found = data_dir.stat()
    return f"chown -R {account(found.st_uid)}:{found.st_gid} {shlex.quote(str(data_dir))}"


@contextmanager
def as_owner(data_dir: Path) -> Iterator[None]:
    """Root works on the data as the account that they belong to, so that no file arises that it can't open. Others, and
    root on data of its own, or where there are none yet, work as themselves."""
    try:
        found = data_dir.stat()
    except OSError:
        found = None
    if found is None or os.geteuid() != 0 or found.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        known = pwd.getpwuid(found.st_uid)
        theirs = os.getgrouplist(known.pw_name, known.pw_gid)
        os.setgroups(theirs)
        os.setegid(known.pw_gid)
    except KeyError:
        os.setgroups([])
        os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _walk(data_dir: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Folders and regular files of the gateway's; no sockets, and symbolic links only where a folder of ours was put
    elsewhere by one."""
    known = [data_dir, *(data_dir / name for name in (*_FILES, *_FOLDERS))]
    for path in known:
        try:
            found = path.stat()
        except OSError:
            continue
        yield path, found
        if path.name in _FOLDERS and path != data_dir and stat.S_ISDIR(found.st_mode):
            yield from _inside(path)


def _inside(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
            continue
        yield Path(entry.path), found
        if stat.S_ISDIR(found.st_mode) and entry.name not in _NOT_ENTERED:
            yield from _inside(Path(entry.path))


def _has_acl(path: Path) -> bool:
    """With an access control list the group's bits are its mask (acl(5)): somebody was let in by name."""
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
