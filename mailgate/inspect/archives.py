"""Members of archives and disk images, in every reading that some program takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from mailgate.inspect import arj, iso9660, rar, readers, tarball, zip_layout
from mailgate.inspect.archive_marks import BEHIND, MAGIC, begins_as_archive, behind, ends_as_zip, find
from mailgate.inspect.members import Budget, LimitExceededError, Members, UnreadableError
from mailgate.inspect.unpacking import ALL_FORMATS, ONLY_TAR, ONLY_ZIP, unpacked

_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # a frame of zstd or LZ4 (RFC 8878 3.1.2) that holds no data
_MOST_BEHIND = 64


def archive_members(data: bytes, form: str, budget: Budget, opens: frozenset[str]) -> Members:
    """Every member in each reading of `data`: one file can be several archives, and each program opens the one that it
    looks for. Where the scanner can't unpack a member, or may take the file for something else, it comes whole.
    `form` is the type of archive that `data` begins with, if any; `opens` are the types that the scanner is known to
    open.

    Raises UnreadableError where not all of it can be read; LimitExceededError."""
    known: list[bytes] = []
    faults: list[UnreadableError] = []
    for reading in _readings_of(data, form, budget, opens):
        count = 0
        try:
            for found in reading:
                count += 1
                if found.data.startswith((*BEHIND, arj.MAGIC)):
                    known.append(found.data)
                yield found
        except UnreadableError as error:
            # What only looks like one may still have another behind it.
            if count or form in readers.READERS or not MAGIC.match(data):
                faults.append(error)
    yield from _members_behind(data, known, budget)
    if faults:
        raise faults[0]
    if readers.READERS.get(form) is readers.Reader.GATEWAY and not (begins_as_archive(data) or ends_as_zip(data)):
        raise UnreadableError("it can't be read")


def _readings_of(data: bytes, form: str, budget: Budget, opens: frozenset[str]) -> Iterator[Members]:
    magic, is_tar = MAGIC.match(data), tarball.is_tar(data)
    if arj.is_arj(data):
        yield arj.arj_members(data, budget)
    elif magic or is_tar:
        formats = tuple(name for name in ALL_FORMATS if name != "tar") if is_tar and magic else ALL_FORMATS
        yield unpacked(data, _skipped(data), budget, form in opens, formats)
    if magic and is_tar:
        yield unpacked(data, 0, budget, is_opened=False, formats=ONLY_TAR)
    if iso9660.is_iso(data):
        yield iso9660.iso_members(data, budget)
    if ends_as_zip(data) and (is_tar or not data.startswith(zip_layout.LOCAL)):
        yield unpacked(data, 0, budget, is_opened=False, formats=ONLY_ZIP)


def _skipped(data: bytes) -> int:
    """Where the first frame with data begins."""
    at = 0
    while _SKIPPABLE.match(data, at) and at + 8 <= len(data):
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    return at


def _members_behind(data: bytes, known: Sequence[bytes], budget: Budget) -> Members:
    """`known` are archives that were found as members of this one; whoever stores them as they are shows them again."""
    is_archive_itself = begins_as_archive(data)
    unknown = (at for at in behind(data) if not any(data.startswith(each, at) for each in known))
    for number, at in enumerate(unknown):
        if number == _MOST_BEHIND:
            raise LimitExceededError("what may be archives too often in other data")
        is_torn = is_archive_itself and _is_torn(data, at)
        yield from _only_if_it_is_one(unpacked(data, at, budget, is_opened=False), is_torn)
    for at in _arj_behind(data, known) if is_archive_itself else ():
        with suppress(UnreadableError):
            for _ in arj.arj_members(data[at:], budget):
                pass
            raise LimitExceededError("an ARJ archive behind other data")


def _arj_behind(data: bytes, known: Sequence[bytes]) -> Iterator[int]:
    at = count = 0
    while (at := find(data, arj.MAGIC, at + 1)) >= 0:
        if arj.is_main_header(data, at) and not any(data.startswith(each, at) for each in known):
            count += 1
            if count > _MOST_BEHIND:
                raise LimitExceededError("what may be archives too often in other data")
            yield at


def _is_torn(data: bytes, at: int) -> bool:
    """Whether what begins at `at` is no archive of its own but a piece of one: what deflate can't pack it leaves as it
    is, with octets of its own in between."""
    if not data.startswith(rar.MAGIC, at):
        return True  # 7-Zip has a checksum on all of its directory, and shows no member without it
    found = rar.blocks(data, at)
    return found.is_cut and found.files <= 1


def _only_if_it_is_one(members: Members, is_torn: bool) -> Members:
    """The magic number of an archive may stand anywhere; what does not show a single member is none, and of a torn one
    counts what can be read."""
    is_begun = False
    try:
        for found in members:
            is_begun = True
            yield replace(found, unopened="") if is_torn else found
    except UnreadableError:
        if is_begun and not is_torn:
            raise
