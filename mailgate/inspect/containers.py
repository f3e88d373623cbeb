"""What is inside archives, disk images and documents: names, types and encryption of their members, for rules.

clamd unpacks and scans containers by itself; this only lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from mailgate.inspect import filetype, mime, readers, signatures, tnef
from mailgate.inspect.archive_marks import is_archive
from mailgate.inspect.archives import archive_members
from mailgate.inspect.bounded import BoundedChild, Bounds
from mailgate.inspect.documents import document_members, is_document
from mailgate.inspect.filetype import FileType
from mailgate.inspect.macros import tells_of_macros
from mailgate.inspect.members import Budget, Found, LimitExceededError, Listing, Member, UnreadableError
from mailgate.inspect.parts import ParseLimits
from mailgate.inspect.replies import ScanResult
from mailgate.model.part_class import PartClass
from mailgate.model.placement import Placement
from mailgate.model.verdict import PartReport, Unscanned, Verdict

WALL_SECONDS = 10.0
REMEMBERED = 500  # listings a worker keeps, so that a container that comes again is not opened again
_OFFICE_MARKS = ("[Content_Types].xml", "mimetype")  # OOXML, OpenDocument and EPUB
_OFFICE_FILLING = (".xml", ".rels", ".png", ".jpg", ".jpeg", ".gif", ".emf", ".wmf", ".svg", "mimetype")
_REPAIRED = frozenset({"application/x-msi"})  # read as a document
_MESSAGE = "message/rfc822"
_RULE_CLASSES = frozenset(PartClass)

Lister = Callable[[Mapping[str, bytes], frozenset[str]], dict[str, Listing]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Listing).decode
_decode_types = msgspec.msgpack.Decoder(frozenset[str]).decode


def is_container(data: bytes) -> bool:
    return is_archive(data) or is_document(data)


def listing(data: bytes, budget: Budget, opens: frozenset[str] = readers.ASSUMED) -> Listing:
    """Everything inside `data`, containers in containers too. Bounded by the budget only: see BoundedChild. `opens` are
    the types that the scanner is known to open."""
    inside = _Inside(budget, opens)
    classes: set[str] = set()
    exceeded = ""
    fault = _Fault()
    room = budget.data
    try:
        fault = inside.walk(data, filetype.detect(data), "", classes)
    except LimitExceededError as error:
        exceeded = str(error)
    except MemoryError:
        exceeded = "too much memory"
    members = inside.members
    largest = max((member.size for member in members), default=0)
    if any(member.name in _OFFICE_MARKS and "/" not in member.path for member in members):
        members = [member for member in members if not _is_filling(member)]
    return Listing(
        tuple(members),
        exceeded,
        fault.unreadable,
        tuple(sorted(classes)),
        tuple(inside.unreached),
        fault.unopened,
        largest,
        room - budget.data,
        inside.by_scanner,
    )


def _is_filling(member: Member) -> bool:
    """What every office file is made of, unless it is something that rules speak of."""
    is_plain = not (member.unopened or any(name in _RULE_CLASSES for name in member.classes))
    return is_plain and member.name.endswith(_OFFICE_FILLING)


def _parts_of(message: bytes, budget: Budget) -> Iterator[Found]:
    """Of a message inside a container, in every reading, but for texts that the scanner sees as they are. One that is a
    part of a message is no container: its parts are parts."""
    views = mime.views(message, ParseLimits())
    for part in views.parts:
        if part.is_strict and not part.names and signatures.TEXT in filetype.detect(part.data).classes:
            continue
        budget.take_member()
        budget.keep(len(part.data))
        yield Found(part.name, part.data, len(part.data), is_unreached=True, names=part.names)
    if views.exceeded:
        raise LimitExceededError(f"a message in it has too many {', '.join(views.exceeded)}")


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a container could not be read on, and whether that means that nobody went through it."""

    unreadable: str = ""
    unopened: str = ""


class _Inside:
    """What was found so far: members, and those that the scanner does not get to, by path."""

    def __init__(self, budget: Budget, opens: frozenset[str]) -> None:
        self.members: list[Member] = []
        self.unreached: list[tuple[str, bytes]] = []
        self.by_scanner = False
        self._budget = budget
        self._opens = opens

    def walk(self, data: bytes, kind: FileType, prefix: str, classes: set[str]) -> _Fault:
        """Append what `data` holds; to `classes` what it is itself."""
        if prefix.count("/") >= self._budget.depth:
            raise LimitExceededError("containers too deep in containers")
        number = 0
        self.by_scanner |= readers.reader_of(kind) is readers.Reader.SCANNER
        fault = _Fault(unopened=readers.unopened(kind, self._opens))
        for found in self._found(data, kind):
            if isinstance(found, _Fault):
                fault = replace(found, unopened=fault.unopened or found.unopened)
            elif not found.name and not found.data and not found.size:
                classes.update(found.classes)
                if found.is_encrypted:
                    classes.add(PartClass.ENCRYPTED)
            else:
                if tells_of_macros(found.name, found.data):
                    classes.add(PartClass.MACRO)
                number += 1
                self._take(found, f"{prefix}{number}")
        return fault

    def _found(self, data: bytes, kind: FileType) -> Iterator[Found | _Fault]:
        """A broken document is repaired by its viewers, and the scanner saw the bytes; of a broken archive nobody knows
        what programs make of it."""
        if is_archive(data):
            count = 0
            try:
                for found in archive_members(data, kind.format, self._budget, self._opens):
                    count += 1
                    yield found
            except UnreadableError as error:
                is_one = readers.reader_of(kind) is not None or count > 0
                why = f"{kind.mime}: {error}"
                yield _Fault(why, why if is_one and kind.format not in _REPAIRED else "")
        if data.startswith(tnef.MAGIC):  # as a part of a message it is no container: its files are parts
            for name, content in tnef.tnef_files(data, self._budget):
                self._budget.take_member()
                yield Found(name, content, len(content), is_unreached=True)
        if kind.mime == _MESSAGE:
            yield from _parts_of(data, self._budget)
        if is_document(data):
            try:
                yield from document_members(data, self._budget)
            except UnreadableError as error:
                yield _Fault(str(error))

    def _take(self, found: Found, path: str) -> None:
        names = found.names or ((found.name,) if found.name else ())
        kind = filetype.detect(found.data, *names)
        own = {*kind.classes, *found.classes}
        if found.is_encrypted:
            own.add(PartClass.ENCRYPTED)
        if found.is_unreached and found.data:
            self.unreached.append((path, found.data))
        self.by_scanner |= readers.reader_of(kind) is readers.Reader.SCANNER
        at = len(self.members)
        unopened = found.unopened or readers.unopened(kind, self._opens)
        try:
            if is_container(found.data) or found.data.startswith(tnef.MAGIC) or kind.mime == _MESSAGE:
                inner: set[str] = set()
                unopened = self.walk(found.data, kind, f"{path}/", inner).unopened or unopened
                if PartClass.ENCRYPTED in inner:
                    own.discard(PartClass.END_TO_END_ENCRYPTED)
                own |= inner
        finally:
            classes = tuple(sorted(own))
            member = Member(path, found.name, kind.mime, found.size, classes, found.is_encrypted, found.names, unopened)
            self.members.insert(at, member)


def container_reports(
    container: PartReport, listing: Listing, scanned: Mapping[str, ScanResult] | None = None
) -> list[PartReport]:
    """The container's own report, completed, and one for each member. Members share the verdict of the container, whose
    scan went through them, but for those that were `scanned` by themselves (by path); an encrypted one was not scanned,
    whatever the scanner says, nor what was not listed, nor what nobody went through."""
    own = container.classes
    if PartClass.ENCRYPTED in listing.classes:  # a password hides what is inside, whatever stands in front of it
        own = tuple(name for name in own if name != PartClass.END_TO_END_ENCRYPTED)
    classes = tuple(dict.fromkeys((*own, *listing.classes)))
    told = judged(_as_scanned(container), classes, listing.unopened)
    detail = told.detail or (f"its contents can't be listed: {listing.unreadable}" if listing.unreadable else "")
    told = replace(told, classes=classes, detail=detail)
    reports = [told, *(_member_report(container, told, member, scanned or {}) for member in listing.members)]
    if listing.exceeded:
        reports.append(
            PartReport(
                place=f"{container.place}/*",
                name=container.name,
                declared_type="",
                detected_type="",
                size=0,
                digest="",
                verdict=Verdict.NOT_SCANNED,
                reason=Unscanned.LIMIT,
                detail=listing.exceeded,
            )
        )
    return reports


def judged(report: PartReport, classes: Collection[str], unopened: str) -> PartReport:
    """The report on what the scanner found nothing in, where nobody could look: it has a password, nobody went through
    it (`unopened` says why), or only its recipient can read it."""
    is_encrypted, is_end_to_end = (name in classes for name in (PartClass.ENCRYPTED, PartClass.END_TO_END_ENCRYPTED))
    report = replace(report, encrypted=True) if is_encrypted else report
    if report.verdict is not Verdict.CLEAN:
        return report
    if is_encrypted and not is_end_to_end:
        return replace(report, verdict=Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED)
    if unopened:
        return replace(report, verdict=Verdict.NOT_SCANNED, reason=Unscanned.LIMIT, detail=unopened)
    if is_end_to_end:
        return replace(report, verdict=Verdict.NOT_SCANNED, reason=Unscanned.END_TO_END_ENCRYPTED)
    return report


def _as_scanned(container: PartReport) -> PartReport:
    """Before it was known what is inside: end-to-end encryption gives way to whatever else nobody could look into."""
    if container.reason is Unscanned.END_TO_END_ENCRYPTED:
        return replace(container, verdict=Verdict.CLEAN, reason=None)
    return container


def _member_report(
    container: PartReport, told: PartReport, member: Member, scanned: Mapping[str, ScanResult]
) -> PartReport:
    own = scanned.get(member.path)
    # What was scanned by itself does not suffer from what was not.
    shared = _as_scanned(told if own is None else container)
    verdict: PartReport | ScanResult = shared if own is None or own.verdict is Verdict.CLEAN else own
    names = member.names or ((member.name,) if member.name else ())
    report = PartReport(
        place=f"{container.place}/{member.path}",
        name=member.name,
        declared_type="",
        detected_type=member.detected_type,
        size=member.size,
        digest="",
        verdict=verdict.verdict,
        signature=verdict.signature,
        reason=verdict.reason,
        detail=verdict.detail,
        is_attachment=container.is_attachment,
        classes=member.classes,
        names=names,
        placements=(Placement.ARCHIVE, *(place for place in container.placements if place == Placement.MESSAGE)),
    )
    return judged(report, member.classes, member.unopened)


def _listings(contents: Sequence[bytes]) -> Iterator[bytes]:
    """The child's work: all containers of one message share a budget. The first of `contents` are the types that the
    scanner opens; its answer is empty."""
    budget = Budget()
    opens = _decode_types(contents[0])
    yield b""
    for content in contents[1:]:
        yield _encode(listing(content, budget, opens))


LISTING = Bounds(_listings)


class ContainerLister:
    """Lists the containers of a message in a bounded child process; remembers listings by digest."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._known: dict[str, Listing] = {}
        self._opens: frozenset[str] = frozenset()
        self._child = BoundedChild(LISTING.work)

    def __call__(self, contents: Mapping[str, bytes], opens: frozenset[str] = readers.ASSUMED) -> dict[str, Listing]:
        """A listing for each of `contents` (by digest); what the child did not live to list has `exceeded` set. `opens`
        are the types that the scanner is known to open."""
        if opens != self._opens:
            self._opens = opens
            self._known.clear()
        new = [digest for digest in contents if digest not in self._known]
        fresh = self._list([contents[digest] for digest in new])
        found = {digest: self._known[digest] for digest in contents if digest in self._known}
        for digest, made in zip(new, fresh, strict=True):
            found[digest] = made
            if not (made.exceeded or made.unreached):
                self._known[digest] = made
        while len(self._known) > self._capacity:
            del self._known[next(iter(self._known))]
        return found

    def _list(self, contents: list[bytes]) -> list[Listing]:
        if not contents:
            return []
        answers = self._child.run([_encode(self._opens), *contents], WALL_SECONDS)[1:]
        too_much = Listing(exceeded="too much time or memory to list")
        return [_decode(answer) for answer in answers] + [too_much] * (len(contents) - len(answers))

    def close(self) -> None:
        self._child.close()
