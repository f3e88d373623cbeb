"""Pure: what a scanner has to prove before its word counts, and what is wrong with one that does not prove it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from msgspec import Struct

from mailgate.inspect import canary_files as files
from mailgate.inspect.memory_files import Buffer
from mailgate.inspect.replies import ScanResult
from mailgate.model.verdict import Unscanned, Verdict

MEMBERS = 1000
"""Members of archives that are listed of one message (see members.Budget): so many the scanner has to go through."""
LEAST = 1 << 20
"""Bytes of a file that any scanner has to see."""
_LEVELS = 12  # of files in files: twice what is listed
_TOO_MANY_LEVELS = 101  # clamd's MaxRecursion ends at 100
_SIZES = ("MaxScanSize 400M", "MaxFileSize 400M")


class Expected(enum.Enum):
    """The answer that a canary must get."""

    FOUND = enum.auto()
    CLEAN = enum.auto()
    LIMIT = enum.auto()
    ENCRYPTED = enum.auto()
    FOUND_OR_LIMIT = enum.auto()

    def fits(self, result: ScanResult) -> bool:
        match self:
            case Expected.CLEAN:
                return result.verdict is Verdict.CLEAN
            case Expected.LIMIT:
                return result.reason is Unscanned.LIMIT
            case Expected.ENCRYPTED:
                return result.reason is Unscanned.ENCRYPTED
            case Expected.FOUND:
                return result.verdict is Verdict.INFECTED
        return result.verdict is Verdict.INFECTED or result.reason is Unscanned.LIMIT


class Fault(Struct, frozen=True):
    """What is wrong with a scanner, and the lines of clamd.conf that mend it (none where no line does)."""

    text: str
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text} (clamd.conf: {', '.join(self.lines)})" if self.lines else self.text


class Canary(Struct, frozen=True):
    """`fault` is what another answer than the expected one means; `archive` instead of it for one of a type that may be
    left to others. `size`: bytes of the large file in it. `is_told`: the scanner may be used, since it tells of each
    file that the fault concerns, which then counts as not scanned."""

    expected: Expected
    pieces: tuple[Buffer, ...]
    fault: Fault | None = None
    archive: str = ""
    size: int = 0
    is_told: bool = False


class Proved(Struct, frozen=True):
    """`opens`: types of archives. `is_seen`: for each size of a file in an archive, whether it is scanned to its end;
    if not, the scanner tells. `faults` keep some files from being scanned."""

    opens: frozenset[str]
    is_seen: tuple[tuple[int, bool], ...]
    faults: tuple[Fault, ...] = ()


class UnfitScannerError(Exception):
    """The scanner answers, and what it says can't be relied on."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        super().__init__(f"{name}: {'; '.join(map(str, faults))}")
        self.faults = tuple(faults)


CHEAP = (
    Canary(
        Expected.FOUND,
        (files.EICAR,),
        Fault("does not find the EICAR test file: it has no usable signatures; run freshclam"),
    ),
    Canary(
        Expected.CLEAN,
        (b"This text is known to be clean.\r\n",),
        Fault("does not find a harmless text clean"),
    ),
)
"""Asked every few seconds."""


@cache
def proof(largest: int) -> tuple[Canary, ...]:
    """Asked once of each state of a scanner. `largest`: bytes of a file that is unpacked, which must be seen to its end
    or told to be too large."""
    return (*_limits(largest), *_alerts(), *_formats())


def _limits(largest: int) -> Iterator[Canary]:
    yield Canary(
        Expected.LIMIT,
        (files.nested(_TOO_MANY_LEVELS),),
        Fault("calls what is beyond its limits clean", ("AlertExceedsMax yes",)),
    )
    yield Canary(
        Expected.FOUND,
        (files.nested(_LEVELS),),
        Fault(f"does not look {_LEVELS} levels deep into files in files", ("MaxRecursion 17",)),
    )
    yield Canary(
        Expected.FOUND,
        (files.many(MEMBERS),),
        Fault(f"does not look at {MEMBERS} files of an archive", ("MaxFiles 10000",)),
    )
    yield Canary(
        Expected.FOUND, files.large(LEAST, LEAST), Fault("does not look at a file of 1 MiB in an archive", _SIZES)
    )
    yield Canary(Expected.FOUND_OR_LIMIT, files.large(largest, largest), cuts_off(largest), size=largest)


def cuts_off(size: int) -> Fault:
    return Fault(f"cuts a file of {-(-size >> 20)} MiB in an archive off and calls the rest clean", _SIZES)


def _alerts() -> Iterator[Canary]:
    yield Canary(
        Expected.ENCRYPTED,
        (files.encrypted(),),
        Fault(
            "calls encrypted files clean", ("AlertEncrypted yes", "AlertEncryptedArchive yes", "AlertEncryptedDoc yes")
        ),
    )
    yield Canary(
        Expected.FOUND,
        (files.zipped(files.encrypted(), files.EICAR),),
        Fault("ends a scan at the first thing it suspects", ("HeuristicScanPrecedence no",)),
    )
    # Of several suspicions libclamav tells one, and chance decides which: so it may have none of what is no reason to
    # refuse a file.
    yield Canary(
        Expected.CLEAN,
        (files.macros(),),
        Fault(
            "may tell of macros instead of a limit: such a file must be looked through here", ("AlertOLE2Macros no",)
        ),
        is_told=True,
    )


def _formats() -> Iterator[Canary]:
    for option, make in files.MANDATORY.items():
        yield Canary(Expected.FOUND, (make(),), Fault(f"does not look into files ({option})", (f"{option} yes",)))
    for archive, makers in files.ARCHIVES.items():
        for make in makers:
            yield Canary(Expected.FOUND, (make(),), archive=archive)


def judged(name: str, canaries: Sequence[Canary], results: Mapping[int, ScanResult]) -> Proved:
    """`results` by position. Raises UnfitScannerError with everything that is wrong."""
    faults: list[Fault] = []
    told: list[Fault] = []
    closed: set[str] = set()
    for number, canary in enumerate(canaries):
        result = results[number]
        if canary.expected.fits(result):
            continue
        if result.is_transient and not result.signature:
            faults.append(Fault(f"can't be tried: {result.detail}"))
        elif canary.fault is not None:
            (told if canary.is_told else faults).append(canary.fault)
        else:
            closed.add(canary.archive)
    if faults:
        raise UnfitScannerError(name, list(dict.fromkeys((*faults, *told))))
    sizes = [(each.size, results[number].verdict is Verdict.INFECTED) for number, each in enumerate(canaries)]
    opens = frozenset(canary.archive for canary in canaries if canary.archive) - closed
    return Proved(opens, tuple(each for each in sizes if each[0]), tuple(told))
