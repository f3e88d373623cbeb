"""Files on an ISO 9660 disk image (ECMA-119), in every tree that a system may show: Windows prefers Joliet, Linux Rock
Ridge (IEEE P1282), others the plain one, and nothing makes them agree. Boot images (El Torito) come as files. Pure.

What stands beside these trees, such as UDF, nobody reads here: the image is then not all there."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailgate.inspect import member_names
from mailgate.inspect.disk_images import disk_image
from mailgate.inspect.members import Budget, Found, LimitExceededError, Members, UnreadableError

SECTOR = 2048
_FIRST = 16 * SECTOR  # of the volume descriptors
_MOST_DESCRIPTORS = 100  # as far as Linux looks
_MAGIC = b"CD001"
_BOOT, _PRIMARY, _SUPPLEMENTARY = 0, 1, 2
_EL_TORITO = b"EL TORITO SPECIFICATION"
_EMULATED = {1: 1_228_800, 2: 1_474_560, 3: 2_949_120}  # bytes of the floppy disk that an image is taken for
_FOLDER, _GOES_ON = 0x02, 0x80  # file flags (9.1.6)
_RECORD = 33
_MOST_CONTINUED = 32
_MOST_FOLDERS = 8 << 20  # bytes of all folders of a tree
# ECMA-167 2/9.1.3 and 3/10.2: what makes an image one of UDF, wherever a driver looks for it.
_UDF = re.compile(rb"NSR0[23]")
_UDF_AREA = 8 << 20
_ANCHOR_AT = (256, 512)
_UDF_SECTORS = (512, 1024, 2048, 4096)


@dataclass(slots=True)
class _Extent:
    """Where the data of one file lie, and all names that it has in the trees. `fault`: why they are not its content."""

    pieces: tuple[tuple[int, int], ...]
    names: dict[str, None] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    """An entry of a folder (9.1): where its data lie, and what the system use area says of it. `moved`: the sector that
    Rock Ridge has put this folder to (CL)."""

    raw_name: bytes
    flags: int
    place: int
    size: int
    is_interleaved: bool
    rock_name: bytes = b""
    is_zisofs: bool = False
    moved: int = 0


def is_iso(data: bytes) -> bool:
    return any(True for _ in _descriptors(data))


def iso_members(data: bytes, budget: Budget) -> Members:
    """Every file once, whole, with all names that it has. Raises UnreadableError at the end where the image holds more
    than that; LimitExceededError."""
    files: dict[tuple[tuple[int, int], ...], _Extent] = {}
    for at in _descriptors(data):
        kind = data[at]
        if kind == _BOOT and data.startswith(_EL_TORITO, at + 7):
            _add_boot_images(data, int.from_bytes(data[at + 71 : at + 75], "little") * SECTOR, files)
        elif kind in (_PRIMARY, _SUPPLEMENTARY):
            _add_tree(data, at, files, budget)
    is_cut = not any(data[at] in (_PRIMARY, _SUPPLEMENTARY) for at in _descriptors(data))
    for file in files.values():
        names = tuple(file.names)
        size = sum(length for _, length in file.pieces)
        budget.take_data(size)
        budget.keep(size)
        content = b"".join(data[start : start + length] for start, length in file.pieces)
        is_cut = is_cut or len(content) < size
        yield Found(names[0], content, size, is_unreached=True, names=names, unopened=file.fault)
    fault = _fault(data)
    if fault or is_cut:
        raise UnreadableError(fault or "it is cut off")


def _fault(data: bytes) -> str:
    """What else is in the image."""
    area = data[_FIRST : _FIRST + _UDF_AREA]
    if any(found.start() % 512 == 1 for found in _UDF.finditer(area)) or _has_anchor(data):
        return "it holds a UDF file system as well"
    other = disk_image(data)
    return f"it is {other} as well" if other else ""


def _has_anchor(data: bytes) -> bool:
    """An anchor volume descriptor pointer (ECMA-167 3/10.2) in one of its places, by a tag with the right checksum."""
    for sector in _UDF_SECTORS:
        last = len(data) // sector
        for number in (*_ANCHOR_AT, last - 1, last - 257):
            tag = data[number * sector : number * sector + 16] if number > 0 else b""
            if tag[:2] == b"\2\0" and len(tag) == 16 and (sum(tag) - tag[4]) & 255 == tag[4]:
                return True
    return False


def _descriptors(data: bytes) -> Iterator[int]:
    for at in range(_FIRST, min(len(data), _FIRST + _MOST_DESCRIPTORS * SECTOR), SECTOR):
        if data.startswith(_MAGIC, at + 1):
            yield at


def _add_tree(data: bytes, at: int, files: dict[tuple[tuple[int, int], ...], _Extent], budget: Budget) -> None:
    """Of the volume descriptor at `at` (8.4, 8.5)."""
    block = int.from_bytes(data[at + 128 : at + 130], "little") or SECTOR
    is_wide = data[at] == _SUPPLEMENTARY and b"%/" in data[at + 88 : at + 120]
    root = next(_records(data, at + 156, 34, block, 0), None)
    if root is None:
        raise UnreadableError("its first folder can't be read")
    skipped = _skipped(data, root)
    left, seen, room = [root], set[int](), _MOST_FOLDERS
    while left:
        folder = left.pop()
        if folder.place in seen:
            continue
        seen.add(folder.place)
        room -= folder.size
        if room < 0:
            raise LimitExceededError("its folders are larger than is looked at")
        pieces: list[tuple[int, int]] = []
        for record in _records(data, folder.place, folder.size, block, skipped):
            if record.moved:
                left.append(next(_records(data, record.moved, 256, block, 0), record))
            if record.raw_name in (b"\0", b"\1") and record.flags & _FOLDER:
                continue
            if record.flags & _FOLDER:
                left.append(record)
                continue
            pieces.append((record.place, record.size))
            if record.flags & _GOES_ON:
                continue
            _add_file(record, tuple(pieces), is_wide, files, budget)
            pieces = []


def _add_file(
    record: _Record,
    pieces: tuple[tuple[int, int], ...],
    is_wide: bool,
    files: dict[tuple[tuple[int, int], ...], _Extent],
    budget: Budget,
) -> None:
    if pieces not in files:
        budget.take_member()
    file = files.setdefault(pieces, _Extent(pieces))
    raw = record.raw_name.decode("utf-16-be", "replace").encode() if is_wide else record.raw_name
    for name in filter(None, (record.rock_name, re.sub(rb"\.?;\d+\Z", b"", raw))):
        file.names |= dict.fromkeys(member_names.readings(name))
    file.names = file.names or {"": None}
    if record.is_interleaved or record.is_zisofs:
        file.fault = "it is packed in a way that can't be unpacked"


def _records(data: bytes, start: int, size: int, block: int, skipped: int) -> Iterator[_Record]:
    """Of the folder that lies there; no record goes beyond the end of a sector."""
    at, end = start, min(len(data), start + size)
    while at + _RECORD < end:
        length = data[at]
        if length <= _RECORD:
            if length:
                raise UnreadableError("a folder can't be read")
            at += SECTOR - (at - start) % SECTOR
            continue
        attributes = data[at + 1]
        place, length_of_data = struct.unpack_from("<I4xI", data, at + 2)
        name = data[at + _RECORD : at + _RECORD + data[at + 32]]
        area = at + _RECORD + len(name) + (len(name) + 1) % 2
        rock_name, is_zisofs, moved = _system_use(data, area + skipped, at + length)
        yield _Record(
            name,
            data[at + 25],
            (place + attributes) * block,
            length_of_data,
            data[at + 26] > 0 or data[at + 27] > 0,
            rock_name,
            is_zisofs,
            moved * block,
        )
        at += length


def _skipped(data: bytes, root: _Record) -> int:
    """Octets in front of what Rock Ridge says in each record (SUSP 5.3)."""
    area = root.place + _RECORD + 1
    found = data.find(b"SP\x07\x01\xbe\xef", area, area + 64)
    return data[found + 6] if found >= 0 and found + 6 < len(data) else 0


def _system_use(data: bytes, at: int, end: int) -> tuple[bytes, bool, int]:
    """The name (NM), whether the file is compressed (ZF), and where a folder was moved (CL)."""
    name, is_zisofs, moved = b"", False, 0
    for _ in range(_MOST_CONTINUED):
        onward = (0, 0)
        while at + 4 <= min(end, len(data)) and data[at + 2] >= 4:
            kind, length = data[at : at + 2], data[at + 2]
            fields = data[at + 4 : at + length]
            if kind == b"NM":
                name += fields[1:]
            elif kind == b"ZF":
                is_zisofs = True
            elif kind == b"CL" and len(fields) >= 4:
                moved = int.from_bytes(fields[:4], "little")
            elif kind == b"CE" and len(fields) >= 20:
                place, offset, size = struct.unpack("<I4xI4xI", fields[:20])
                onward = (place * SECTOR + offset, size)
            at += length
        if not onward[1]:
            break
        at, end = onward[0], sum(onward)
    return name, is_zisofs, moved


def _add_boot_images(data: bytes, catalog: int, files: dict[tuple[tuple[int, int], ...], _Extent]) -> None:
    """El Torito 2: entries of 32 octets behind the first, which only validates the catalog."""
    for number, at in enumerate(range(catalog + 32, min(catalog + SECTOR, len(data) - 32), 32)):
        indicator, media, sectors, place = struct.unpack_from("<BB4xHI", data, at)
        if indicator not in (0, 0x88) or not place:
            continue
        size = min(_EMULATED.get(media & 15, 512 * sectors), max(0, len(data) - place * SECTOR))
        pieces = ((place * SECTOR, size),)
        if size:
            files.setdefault(pieces, _Extent(pieces)).names[f"[BOOT]/{number}"] = None
