"""What the scanner gets of a message: each part, and the message as it came; never the same bytes twice."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

from msgspec import Struct

from mailgate.inspect import filetype
from mailgate.inspect.clamd import Sample
from mailgate.inspect.encodings import IDENTITY
from mailgate.inspect.filetype import FileType
from mailgate.inspect.parts import Part, is_large
from mailgate.inspect.replies import CLEAN, ScanResult
from mailgate.inspect.scanners import Engine, ScanBatch

_AS_MAIL = b"Received: from localhost\r\n"  # clamd takes nothing for mail that does not begin like this
_TEXTS = frozenset({"text/plain", "text/html"})
# clamd takes the texts out of these by itself, out of others (signed, digest …) not all of them
_OPENED = frozenset({"multipart/mixed", "multipart/alternative", "multipart/related"})


class Scanner(Protocol):
    """Whoever scans samples: one result each, in their order; trouble with the scanner is a result, not an error.
    `deadline` as time.monotonic()."""

    def scan(self, samples: Sequence[Sample], deadline: float) -> ScanBatch: ...

    def reach(self, member: int, total: int, deadline: float) -> ScanResult:
        """CLEAN where files of up to `member` bytes, `total` in all, are scanned when they are unpacked from one."""
        ...


class Item(Struct, frozen=True):
    """One part that is to be scanned. `is_shown`: clamd, given the whole message, sees just these bytes as a text."""

    part: Part
    digest: str
    kind: FileType
    is_shown: bool

    @property
    def sample(self) -> Sample:
        return Sample((self.part.data,), self.digest)


class Scanned(Struct, frozen=True):
    """`results` in the order of the items, `whole` for the message as it came; `seconds` spent waiting;
    `remembered` verdicts of parts that no scanner was asked for."""

    results: tuple[ScanResult, ...]
    whole: ScanResult
    engine: Engine | None
    seconds: float
    remembered: int


def item(part: Part, *, is_ambiguous: bool) -> Item:
    kind = filetype.detect(part.data, *part.names)
    is_shown = not is_ambiguous and _is_shown(part) and kind.mime in _TEXTS
    return Item(part, sha256(part.data).hexdigest(), kind, is_shown)


def _is_shown(part: Part) -> bool:
    """A text of the message itself, in its only reading, as it stands there, and not left out of the raw scan."""
    is_plain = part.is_strict and part.encoding in IDENTITY and not (part.names or part.is_attachment)
    is_own = part.is_own and not part.is_forwarded and _OPENED.issuperset(part.enclosing)
    return is_plain and is_own and part.declared_type in _TEXTS and not is_large(part)


def scan_message(
    raw: bytes, spans: Sequence[tuple[int, int]], items: Sequence[Item], scanner: Scanner, deadline: float
) -> Scanned:
    """The message as it came and every part that it does not show as it is; where the message is not clean those parts
    too, so that the ledger says which of them it was."""
    apart = [number for number, each in enumerate(items) if not each.is_shown]
    first = scanner.scan([*(items[number].sample for number in apart), _whole(raw, spans)], deadline)
    whole = first.results[-1]
    results = dict(zip(apart, first.results, strict=False))
    shown = [number for number in range(len(items)) if number not in results]
    seconds, remembered = first.seconds, first.remembered
    if whole == CLEAN:
        results |= dict.fromkeys(shown, CLEAN)
    elif shown:
        second = scanner.scan([items[number].sample for number in shown], deadline)
        results |= dict(zip(shown, second.results, strict=True))
        seconds += second.seconds
        remembered += second.remembered
    return Scanned(tuple(results[number] for number in range(len(items))), whole, first.engine, seconds, remembered)


def _whole(raw: bytes, spans: Sequence[tuple[int, int]]) -> Sample:
    view = memoryview(raw)
    return Sample((_AS_MAIL, *(view[begin:end] for begin, end in spans)))
