"""What inspection found: a verdict for each part, folded into one for the message (promise 2)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

WHOLE_MESSAGE = "raw"  # the place of what was found in the message as it came


class Verdict(enum.StrEnum):
    """SUSPICIOUS: the scanner has no signature of malware for it, but holds it for phishing, a broken program or an
    unwanted one."""

    CLEAN = "clean"
    INFECTED = "infected"
    SUSPICIOUS = "suspicious"
    NOT_SCANNED = "not-scanned"


class Unscanned(enum.StrEnum):
    """Why a part was not scanned. The first two are the scanner's trouble (try again: 451), the rest the message's.
    END_TO_END_ENCRYPTED is S/MIME, OpenPGP and the like, which only the recipient can read; ENCRYPTED has a
    password."""

    SCANNER_DOWN = "scanner-down"
    SCANNER_ERROR = "scanner-error"
    LIMIT = "limit"
    ENCRYPTED = "encrypted"
    END_TO_END_ENCRYPTED = "end-to-end-encrypted"
    WORKER = "worker"

    @property
    def is_transient(self) -> bool:
        return self in (Unscanned.SCANNER_DOWN, Unscanned.SCANNER_ERROR)


@dataclass(frozen=True, slots=True)
class PartReport:
    """One inspected part. `place` is a path such as `2.1` (`raw` for the whole message, `2/1` inside a container);
    `extensions` and `detected_type` feed the attachment rules; `size` in bytes after decoding; `digest` sha256 hex.
    `signature` is the name the scanner gave; `reason` says why it was not scanned. `names` are all file names that some
    client would show, `name` the best of them; `placements` say where it is (`Placement`), each way in which it is."""

    place: str
    name: str
    declared_type: str
    detected_type: str
    size: int
    digest: str
    verdict: Verdict
    signature: str = ""
    reason: Unscanned | None = None
    detail: str = ""
    encrypted: bool = False
    is_attachment: bool = False
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    placements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Defect:
    """One named ambiguity or malformation of the message, e.g. `duplicate-content-type` at place `1`."""

    name: str
    place: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The whole result for one message: parts in order of their places; times in seconds; `remembered` parts
    whose verdict was known from an earlier scan of the same content."""

    parts: tuple[PartReport, ...]
    defects: tuple[Defect, ...] = ()
    engine: str = ""
    signatures: str = ""
    scanner: str = ""
    wall_seconds: float = 0.0
    scanner_seconds: float = 0.0
    remembered: int = 0

    @property
    def verdict(self) -> Verdict:
        """INFECTED outweighs NOT_SCANNED outweighs SUSPICIOUS outweighs CLEAN; no part at all is NOT_SCANNED."""
        found = {part.verdict for part in self.parts}
        worst = (Verdict.INFECTED, Verdict.NOT_SCANNED, Verdict.SUSPICIOUS, Verdict.CLEAN)
        return next((each for each in worst if each in found), Verdict.NOT_SCANNED)

    @property
    def signature(self) -> str:
        """Of the first part that is infected, or else suspicious; empty where none is."""
        for verdict in (Verdict.INFECTED, Verdict.SUSPICIOUS):
            for part in self.parts:
                if part.verdict is verdict:
                    return part.signature
        return ""

    @property
    def unscanned(self) -> tuple[PartReport, ...]:
        return tuple(part for part in self.parts if part.verdict is Verdict.NOT_SCANNED)

    @property
    def is_transient(self) -> bool:
        """True where the scanner, not the message, was the trouble: the sender should try again."""
        if not self.parts:
            return True
        return any(part.reason is not None and part.reason.is_transient for part in self.unscanned)


def not_scanned(reason: Unscanned, size: int, detail: str = "") -> Inspection:
    """The inspection of a message that could not be inspected at all."""
    part = PartReport(
        WHOLE_MESSAGE, "", "message/rfc822", "", size, "", Verdict.NOT_SCANNED, reason=reason, detail=detail
    )
    return Inspection(parts=(part,))
