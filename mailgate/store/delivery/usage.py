"""How much lies in a mailbox: the sizes in the names of its files, as Dovecot's `count` quota adds them up.

A folder is read again only after it changed, so that asking for every recipient costs a few system calls."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

MOST_FOLDERS = 50_000
SETTLED_SECONDS = 1.0
"""A folder that changed less long ago may change again without its time showing it: it is read the next time, too."""

_SIZE = re.compile(r",([SW])=(\d+)")


class Usage:
    """Called from one thread. `clock` in seconds since 1970, as the file system has them."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, maildir: Path) -> int:
        """Bytes in the Maildir and its subfolders (Maildir++); what is on its way there is not in it yet."""
        if len(self._known) > MOST_FOLDERS:
            self._known.clear()
        return sum(self._folder(f"{place}/{kind}") for place in _places(maildir) for kind in ("new", "cur"))

    def _folder(self, path: str) -> int:
        try:
            changed = os.stat(path).st_mtime_ns  # noqa: PTH116
            known = self._known.get(path)
            if known is not None and known[0] == changed:
                return known[1]
            with os.scandir(path) as entries:
                size = sum(map(size_of, entries))
        except (FileNotFoundError, NotADirectoryError):
            return 0
        if self._clock() - changed / 1e9 > SETTLED_SECONDS:
            self._known[path] = (changed, size)
        return size


def _places(maildir: Path) -> list[str]:
    try:
        with os.scandir(maildir) as entries:
            folders = [entry.path for entry in entries if entry.name.startswith(".") and entry.is_dir()]
    except FileNotFoundError:
        return []
    return [str(maildir), *folders]


def size_of(entry: os.DirEntry[str]) -> int:
    """Bytes with CRLF line ends (`W=`), else of the file (`S=`: ours end in CRLF), else what the file system says."""
    sizes = dict(_SIZE.findall(entry.name.partition(":")[0]))
    stated = sizes.get("W") or sizes.get("S")
    if stated is not None:
        return int(stated)
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0
