"""What is inside archives, disk images and documents: names, types and encryption of their members, for rules.

clamd unpacks and scans containers by itself; this only lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from mailgate.inspect import filetype
from mailgate.inspect.archives import archive_members, is_archive
from mailgate.inspect.bounded import BoundedChild
from mailgate.inspect.documents import document_members, is_document
from mailgate.inspect.members import Budget, Found, LimitExceededError, Listing, Member, UnreadableError
from mailgate.inspect.replies import ScanResult
from mailgate.model.part_class import PartClass
from mailgate.model.placement import Placement
from mailgate.model.verdict import PartReport, Unscanned, Verdict

WALL_SECONDS = 10.0
REMEMBERED = 500  # listings a worker keeps, so that a container that comes again is not opened again
_OFFICE_MARKS = ("[Content_Types].xml", "mimetype")  # OOXML, OpenDocument and EPUB
_OFFICE_FILLING = (".xml", ".rels", ".png", ".jpg", ".jpeg", ".gif", ".emf", ".wmf", ".svg", "mimetype")
_RULE_CLASSES = frozenset(PartClass)

Lister = Callable[[Mapping[str, bytes]], dict[str, Listing]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Listing).decode


def is_container(data: bytes) -> bool:
    return is_archive(data) or is_document(data)


def listing(data: bytes, budget: Budget) -> Listing:
    """Everything inside `data`, containers in containers too. Bounded by the budget only: see BoundedChild."""
    members: list[Member] = []
    unreached: list[tuple[str, bytes]] = []
    classes: set[str] = set()
    exceeded = unreadable = ""
    try:
        unreadable = _walk(data, "", budget, members, unreached, classes)
    except LimitExceededError as error:
        exceeded = str(error)
    except MemoryError:
        exceeded = "too much memory"
    if any(member.name in _OFFICE_MARKS and "/" not in member.path for member in members):
        members = [member for member in members if not _is_filling(member)]
    return Listing(tuple(members), exceeded, unreadable, tuple(sorted(classes)), tuple(unreached))


def _is_filling(member: Member) -> bool:
    """What every office file is made of, unless it is something that rules speak of."""
    return member.name.endswith(_OFFICE_FILLING) and not any(name in _RULE_CLASSES for name in member.classes)


def _walk(
    data: bytes,
    prefix: str,
    budget: Budget,
    members: list[Member],
    unreached: list[tuple[str, bytes]],
    classes: set[str],
) -> str:
    """Append what `data` holds to `members` and `unreached`, to `classes` what it is itself; returns why it could not
    be read on."""
    if prefix.count("/") >= budget.depth:
        raise LimitExceededError("containers too deep in containers")
    number = 0
    unreadable = ""
    for is_kind, read in ((is_archive, archive_members), (is_document, document_members)):
        if not is_kind(data):
            continue
        try:
            for found in read(data, budget):
                if not found.name and not found.data:
                    classes.update(found.classes)
                    if found.is_encrypted:
                        classes.add(PartClass.ENCRYPTED)
                    continue
                number += 1
                _take(found, f"{prefix}{number}", budget, members, unreached)
        except UnreadableError as error:
            unreadable = str(error)
    return unreadable


def _take(found: Found, path: str, budget: Budget, members: list[Member], unreached: list[tuple[str, bytes]]) -> None:
    kind = filetype.detect(found.data, found.name)
    own = {*kind.classes, *found.classes}
    if found.is_encrypted:
        own.add(PartClass.ENCRYPTED)
    if found.is_unreached and found.data:
        unreached.append((path, found.data))
    at = len(members)
    try:
        if is_container(found.data):
            _walk(found.data, f"{path}/", budget, members, unreached, own)
    finally:
        member = Member(path, found.name, kind.mime, found.size, tuple(sorted(own)), found.is_encrypted)
        members.insert(at, member)


def container_reports(
    container: PartReport, listing: Listing, scanned: Mapping[str, ScanResult] | None = None
) -> list[PartReport]:
    """The container's own report, completed, and one for each member. Members share the verdict of the container, whose
    scan went through them, but for those that were `scanned` by themselves (by path); an encrypted one was not scanned,
    whatever the scanner says, nor what was not listed."""
    classes = tuple(dict.fromkeys((*container.classes, *listing.classes)))
    if PartClass.ENCRYPTED in classes:
        container = _encrypted(container)
    detail = container.detail or (f"its contents can't be listed: {listing.unreadable}" if listing.unreadable else "")
    container = replace(container, classes=classes, detail=detail)
    reports = [container, *(_member_report(container, member, scanned or {}) for member in listing.members)]
    if listing.exceeded:
        reports.append(
            PartReport(
                f"{container.place}/*", "", "", "", 0, "", Verdict.NOT_SCANNED, "", Unscanned.LIMIT, listing.exceeded
            )
        )
    return reports


def _member_report(container: PartReport, member: Member, scanned: Mapping[str, ScanResult]) -> PartReport:
    own = scanned.get(member.path)
    verdict: PartReport | ScanResult = container if own is None or own.verdict is Verdict.CLEAN else own
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
        names=(member.name,) if member.name else (),
        placements=(Placement.ARCHIVE, *(place for place in container.placements if place == Placement.MESSAGE)),
    )
    return _encrypted(report) if PartClass.ENCRYPTED in member.classes else report


def _encrypted(report: PartReport) -> PartReport:
    if report.verdict is Verdict.CLEAN:
        return replace(report, verdict=Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED, encrypted=True)
    return replace(report, encrypted=True)


def _listings(contents: Sequence[bytes]) -> Iterator[bytes]:
    """The child's work: all containers of one message share a budget."""
    budget = Budget()
    for content in contents:
        yield _encode(listing(content, budget))


class ContainerLister:
    """Lists the containers of a message in a bounded child process; remembers listings by digest."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._known: dict[str, Listing] = {}
        self._child = BoundedChild(_listings)

    def __call__(self, contents: Mapping[str, bytes]) -> dict[str, Listing]:
        """A listing for each of `contents` (by digest); what the child did not live to list has `exceeded` set."""
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
        answers = self._child.run(contents, WALL_SECONDS)
        too_much = Listing(exceeded="too much time or memory to list")
        return [_decode(answer) for answer in answers] + [too_much] * (len(contents) - len(answers))

    def close(self) -> None:
        self._child.close()
