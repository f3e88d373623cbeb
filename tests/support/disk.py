"""What is on a disk after a power failure, by the system calls that came before: the calls of a trace are replayed on a
model of a file system that tells what is written from what is synced.

A file's bytes are safe once a sync of the file, begun after the write, has ended; a name once its folder was synced.
How much of the rest survives is `Cut`: a real disk may do any of these."""

from __future__ import annotations

import enum
import hashlib
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from tests.support.strace import Call

CALLS = (
    "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,"
    "write,pwrite64,copy_file_range,sendfile,ftruncate,fsync,fdatasync,lseek"
)
PAGE = 4_096


class Cut(enum.Enum):
    """STRICT: only what was synced. NAMES: also every change of names, whose journal was just written, but no bytes
    that were not synced. SOME: also an arbitrary part of the writes. ALL: everything, as after a kill."""

    STRICT = "strict"
    NAMES = "names"
    SOME = "some"
    ALL = "all"


@dataclass(eq=False)
class File:
    """`pending`: writes (offset, bytes) and cuts (size, None) since the last sync."""

    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def write(self, at: int, data: bytes) -> None:
        _write(self.data, at, data)
        self.pending.append((at, data))

    def cut(self, size: int) -> None:
        _cut(self.data, size)
        self.pending.append((size, None))

    def survives(self, cut: Cut, chance: random.Random) -> bytes:
        if cut is Cut.ALL:
            return bytes(self.data)
        found = bytearray(self.synced)
        for at, data in self.pending if cut is Cut.SOME else ():
            if data is None:
                continue
            for start in range(0, len(data), PAGE):
                if chance.random() < 0.5:
                    _write(found, at + start, data[start : start + PAGE])
        return bytes(found)


def _write(data: bytearray, at: int, new: bytes) -> None:
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(new)] = new


def _cut(data: bytearray, size: int) -> None:
    data.extend(bytes(max(0, size - len(data))))
    del data[size:]


@dataclass(eq=False)
class Folder:
    """What is in it, and what the disk knows to be in it."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    synced: dict[str, File | Folder] = field(default_factory=dict)


class Disk:
    """The folder that the calls name `root`; what `start` holds, a copy of it from before, counts as synced."""

    def __init__(self, root: Path, start: Path) -> None:
        self._prefix = PurePath(root).parts
        self.root = _read(start)
        self._positions: dict[tuple[str, str], int] = {}
        self._begun: dict[int, tuple[bytes, int] | dict[str, File | Folder]] = {}

    def _parts(self, path: str) -> tuple[str, ...] | None:
        parts = PurePath(path).parts
        inside = parts[: len(self._prefix)] == self._prefix
        return parts[len(self._prefix) :] if inside else None

    def _folder(self, parts: tuple[str, ...]) -> Folder:
        found: File | Folder = self.root
        for part in parts:
            assert isinstance(found, Folder)
            found = found.now[part]
        assert isinstance(found, Folder)
        return found

    def _node(self, path: str) -> File | Folder | None:
        parts = self._parts(path)
        if parts is None:
            return None
        if not parts:
            return self.root
        try:
            return self._folder(parts[:-1]).now.get(parts[-1])
        except KeyError:
            return None

    def _place(self, path: str) -> tuple[Folder, str] | None:
        parts = self._parts(path)
        return (self._folder(parts[:-1]), parts[-1]) if parts else None

    def begin(self, call: Call) -> None:
        """A sync covers what was there when it began."""
        if call.name in ("fsync", "fdatasync"):
            node = self._node(call.path)
            if isinstance(node, File):
                self._begun[call.began] = bytes(node.data), len(node.pending)
            elif node is not None:
                self._begun[call.began] = dict(node.now)

    def end(self, call: Call) -> bool:
        """Whether anything that could matter has changed."""
        if not call.succeeded:
            return False
        name = call.name.removesuffix("at2").removesuffix("at")
        if name in ("open", "creat"):
            return self._open(call)
        if name == "mkdir":
            return self._name(call.strings[-1], Folder())
        if name in ("link", "rename"):
            return self._move(call, name == "rename")
        if name in ("unlink", "rmdir"):
            return self._unname(call.strings[-1])
        return self._on_file(call, name)

    def _open(self, call: Call) -> bool:
        path = call.target or call.strings[-1]
        self._positions[_descriptor(call.result), path] = 0
        node = self._node(path)
        if node is None and "O_CREAT" in call.arguments:
            return self._name(path, File())
        if isinstance(node, File) and "O_TRUNC" in call.arguments and node.data:
            node.cut(0)
            return True
        return False

    def _name(self, path: str, node: File | Folder) -> bool:
        place = self._place(path)
        if place is None:
            return False
        place[0].now[place[1]] = node
        return True

    def _move(self, call: Call, is_gone: bool) -> bool:
        source, target = call.strings[0], call.strings[1]
        node = self._node(source)
        if node is None:
            return False
        self._name(target, node)
        if is_gone:
            self._unname(source)
        return True

    def _unname(self, path: str) -> bool:
        place = self._place(path)
        return place is not None and place[0].now.pop(place[1], None) is not None

    def _on_file(self, call: Call, name: str) -> bool:
        if name in ("copy_file_range", "sendfile"):
            return self._copy(call, name)
        node = self._node(call.path)
        begun = self._begun.pop(call.began, None)
        if isinstance(node, Folder) and isinstance(begun, dict):
            node.synced = begun
            return True
        if not isinstance(node, File) or call.result is None:
            return False
        first = call.arguments.split("<", 1)[0]
        if isinstance(begun, tuple):
            node.synced, covered = begun
            del node.pending[:covered]
        elif name == "pwrite64":
            node.write(int(call.arguments.rsplit(",", 1)[1]), _decoded(call.strings[-1])[: call.result])
        elif name == "write":
            self._append(first, call.path, node, _decoded(call.strings[-1])[: call.result])
        elif name == "ftruncate":
            node.cut(int(call.arguments.rsplit(",", 1)[1]))
        elif name == "lseek":
            self._positions[first, call.path] = call.result
            return False
        return True

    def _append(self, descriptor: str, path: str, node: File, data: bytes) -> None:
        at = self._positions.get((descriptor, path), 0)
        node.write(at, data)
        self._positions[descriptor, path] = at + len(data)

    def _copy(self, call: Call, name: str) -> bool:
        """Both take an offset in the source, and go on where the target stands."""
        shown = re.findall(r"(\d+)<([^>]*)>", call.arguments)
        (descriptor, path), (_, origin) = (shown[1], shown[0]) if name == "copy_file_range" else (shown[0], shown[1])
        source, target = self._node(origin), self._node(path)
        offset = re.search(r"\[(\d+)\]", call.arguments)
        if not (isinstance(source, File) and isinstance(target, File) and offset and call.result):
            return False
        start = int(offset[1])
        self._append(descriptor, path, target, bytes(source.data[start : start + call.result]))
        return True

    def write_out(self, target: Path, cut: Cut, chance: random.Random) -> str:
        """Makes `target` what the disk holds after a cut now; a digest of all of it."""
        growing = hashlib.sha256()
        for path, node in sorted(_surviving(self.root, cut, PurePath()), key=lambda found: str(found[0])):
            growing.update(str(path).encode() + b"\0")
            if isinstance(node, Folder):
                (target / path).mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                data = node.survives(cut, chance)
                growing.update(data)
                (target / path).write_bytes(data)
        return growing.hexdigest()


def _surviving(folder: Folder, cut: Cut, path: PurePath) -> Iterator[tuple[PurePath, File | Folder]]:
    yield path, folder
    for name, node in (folder.synced if cut is Cut.STRICT else folder.now).items():
        if name.endswith(("-shm", ".sock")):
            continue
        if isinstance(node, Folder):
            yield from _surviving(node, cut, path / name)
        else:
            yield path / name, node


def _read(path: Path) -> Folder:
    folder = Folder()
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            folder.now[entry.name] = _read(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            data = Path(entry.path).read_bytes()
            folder.now[entry.name] = File(bytearray(data), data)
    folder.synced = dict(folder.now)
    return folder


def _descriptor(result: int | None) -> str:
    return str(result)


def _decoded(shown: str) -> bytes:
    """The bytes of a string as strace writes it."""
    return shown.encode("latin-1").decode("unicode_escape").encode("latin-1")
