"""Pure: what clamd's replies mean (man clamd, "COMMANDS"). Nothing but an exact `OK` is clean (promise 2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Self

from msgspec import Struct

from mailgate.model.verdict import Unscanned, Verdict

_SCAN_REPLY = re.compile(r"(?:stream|fd\[\d+\]): (?:(?P<text>[^\x00-\x1f]+) )?(?P<status>FOUND|OK|ERROR)")
_EXTENDED_INFO = re.compile(r"\([0-9a-f]{32}:\d+\)$")  # ExtendedDetectionInfo yes: Name(digest:size)
_LIMIT_ERROR = re.compile(r"size limit exceeded|time limit reached|CL_ETIMEOUT|CL_EMAX", re.IGNORECASE)
# What clamd holds for suspicious without a signature, and what its database calls potentially unwanted. Of heuristics
# libclamav tells one only.
_SUSPICIONS = ("Heuristics.", "PUA.", "BC.Heuristics.")
_SESSION_REPLY = re.compile(rb"(\d{1,10}): (.*)", re.DOTALL)
_DATE = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST_REPLY = 64 << 10


class ReplyError(Exception):
    """The scanner sent what is no reply of its protocol; the connection can't be used any longer."""


class ScanResult(Struct, frozen=True):
    """What one scan of one sample said. `signature` where INFECTED or SUSPICIOUS, or where a finding hides what else
    there is, such as a limit (`masks`); `reason` and `detail` where NOT_SCANNED."""

    verdict: Verdict
    signature: str = ""
    reason: Unscanned | None = None
    detail: str = ""
    encrypted: bool = False
    masks: bool = False

    @property
    def is_transient(self) -> bool:
        """True where the scanner was the trouble, so that another endpoint may know better."""
        return self.reason is not None and self.reason.is_transient


CLEAN = ScanResult(Verdict.CLEAN)


def unscanned(reason: Unscanned, detail: str) -> ScanResult:
    return ScanResult(Verdict.NOT_SCANNED, reason=reason, detail=detail)


def scan_result(text: str) -> ScanResult:
    """The meaning of one reply to FILDES or INSTREAM, without its request id and terminator.

    Whatever is neither `OK`, nor a finding, nor a named limit is SCANNER_ERROR; an empty reply is one too."""
    match = _SCAN_REPLY.fullmatch(text)
    if match is None:
        return _error(text)
    status, found = match["status"], match["text"]
    if status == "OK" and found is None:
        return CLEAN
    if status == "FOUND" and found is not None:
        return _finding(_EXTENDED_INFO.sub("", found))
    return _error(found or text)


def _finding(signature: str) -> ScanResult:
    if signature.startswith("Heuristics.Limits.Exceeded"):
        return unscanned(Unscanned.LIMIT, signature)
    if signature.startswith("Heuristics.Encrypted"):
        return ScanResult(Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED, detail=signature, encrypted=True)
    if signature.startswith("Heuristics.OLE2.ContainsMacros"):
        # Of several such findings libclamav tells one, and chance decides which: it may have met a limit as well.
        detail = f"{signature} says nothing of the rest: set AlertOLE2Macros no"
        return ScanResult(Verdict.NOT_SCANNED, signature, Unscanned.SCANNER_ERROR, detail, masks=True)
    if signature.startswith(_SUSPICIONS):
        return ScanResult(Verdict.SUSPICIOUS, signature, masks=True)
    return ScanResult(Verdict.INFECTED, signature=signature)


def _error(text: str) -> ScanResult:
    if _LIMIT_ERROR.search(text):
        return unscanned(Unscanned.LIMIT, text)
    return unscanned(Unscanned.SCANNER_ERROR, text or "the scanner closed without an answer")


class ReplyBuffer:
    """Pure: cuts what an IDSESSION sends (`<id>: <text>` up to NUL each, in pieces of any size) into (id, text)."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[tuple[int, str]]:
        """Raises ReplyError for a reply without an id (the scanner refuses the session) or without an end."""
        *whole, self._held = (self._held + data).split(b"\0")
        if len(self._held) > LONGEST_REPLY:
            raise ReplyError(f"reply of more than {LONGEST_REPLY} bytes")
        return [self._numbered(reply) for reply in whole]

    @staticmethod
    def _numbered(reply: bytes) -> tuple[int, str]:
        match = _SESSION_REPLY.fullmatch(reply)
        if match is None:
            raise ReplyError(f"reply without a request id: {reply[:200]!r}")
        return int(match[1]), match[2].decode("utf-8", "replace").strip()


class Version(Struct, frozen=True):
    """VERSION's answer, `ClamAV 1.4.6/27800/Mon Nov 23 08:30:00 2026`. `signatures` is empty and `signed_at` None where
    the database has no version (only local signatures); `signed_at` in seconds since 1970."""

    engine: str
    signatures: str = ""
    signed_at: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ReplyError for an answer that names no engine."""
        engine, _, rest = text.partition("/")
        signatures, _, date = rest.partition("/")
        if not engine.strip() or engine.endswith("ERROR"):
            raise ReplyError(f"no version: {text!r}")
        return cls(engine.strip(), signatures.strip(), _seconds(date.strip()))


def _seconds(date: str) -> float | None:
    match = _DATE.fullmatch(date)
    if match is None or match[1] not in _MONTHS:
        return None
    day, hour, minute, second, year = map(int, match.groups()[1:])
    try:
        return datetime(year, _MONTHS.index(match[1]) + 1, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
