"""What containers hold, and the budget that every reader of one draws on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HEAD = 4096  # bytes of a member that are enough to tell its type


class LimitExceededError(Exception):
    """A container holds more than is looked at: the rest is not scanned(limit)."""


class UnreadableError(Exception):
    """These bytes only look like a container, or are broken beyond reading."""


def trouble(what: str, error: Exception) -> LimitExceededError | UnreadableError:
    """What a library's error means: no memory for a table or dictionary is a limit, anything else a broken file."""
    text = f"{what}: {error}"
    return LimitExceededError(text) if "alloc" in text or "memory" in text else UnreadableError(text)


@dataclass(slots=True)
class Budget:
    """For all containers of one message: `members` listed, `data` bytes unpacked, of them `kept` in memory, `depth` of
    container in container."""

    members: int = 1000
    data: int = 400 << 20
    kept: int = 64 << 20
    depth: int = 6

    def take_member(self) -> None:
        """Raises LimitExceededError when the members are used up."""
        self.members -= 1
        if self.members < 0:
            raise LimitExceededError("more files in it than are looked at")

    def take_data(self, size: int) -> None:
        """Raises LimitExceededError when the unpacked bytes are used up."""
        self.data -= size
        if self.data < 0:
            raise LimitExceededError("larger, unpacked, than is looked at")

    def keep(self, size: int) -> None:
        """Raises LimitExceededError when the bytes that may be kept are used up."""
        self.kept -= size
        if self.kept < 0:
            raise LimitExceededError("containers too large inside a container")


@dataclass(frozen=True, slots=True)
class Found:
    """One member as a reader yields it: `data` is its content, or only its first HEAD bytes where it is no container;
    empty where it can't be read. `classes` are what the reader knows from the container's structure. `is_unreached`:
    the scanner does not get to it by itself, so `data`, all of it, has to be scanned. `names` are all readings of its
    name, where there are several. `unopened`: why nobody went through it."""

    name: str
    data: bytes = b""
    size: int = 0
    is_encrypted: bool = False
    classes: tuple[str, ...] = ()
    is_unreached: bool = False
    names: tuple[str, ...] = ()
    unopened: str = ""


Members = Iterator[Found]


@dataclass(frozen=True, slots=True)
class Member:
    """One member for the report: `path` such as `3` or `3/1` counts from 1 within the container. `names` are all
    readings of its name, the likeliest first; `unopened` says why nobody went through it."""

    path: str
    name: str
    detected_type: str
    size: int
    classes: tuple[str, ...] = ()
    is_encrypted: bool = False
    names: tuple[str, ...] = ()
    unopened: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The members of one part; `exceeded` says which limit ended the listing before its end, `unreadable` why it could
    not be read (on), `unopened` why nobody went through all of it. `classes` are the container's own, such as encrypted
    or macro. `unreached`: members by path that the scanner does not unpack by itself. `largest`: bytes of the largest
    member, `unpacked` of all of them. `by_scanner`: something in it is an archive that only the scanner opens."""

    members: tuple[Member, ...] = ()
    exceeded: str = ""
    unreadable: str = ""
    classes: tuple[str, ...] = ()
    unreached: tuple[tuple[str, bytes], ...] = ()
    unopened: str = ""
    largest: int = 0
    unpacked: int = 0
    by_scanner: bool = False

    @property
    def is_whole(self) -> bool:
        """The gateway has gone through all of it by itself."""
        is_read = not (self.exceeded or self.unreadable or self.unopened or self.by_scanner)
        return is_read and not any(member.unopened for member in self.members)
