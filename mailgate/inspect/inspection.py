"""One message inspected: parsed into parts, every part and the raw message scanned, all folded into one Inspection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from mailgate.inspect import filetype, mime, readers
from mailgate.inspect.clamd import Sample
from mailgate.inspect.containers import Lister, container_reports, is_container, judged
from mailgate.inspect.members import Listing
from mailgate.inspect.parts import ParseLimits, Part, Views
from mailgate.inspect.replies import CLEAN, ScanResult, unscanned
from mailgate.inspect.samples import Item, Scanner, item, scan_message
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.part_class import PartClass
from mailgate.model.placement import Placement
from mailgate.model.verdict import WHOLE_MESSAGE, Inspection, PartReport, Unscanned, Verdict

_ANSWER_SECONDS = 2.0  # left of the wall time for folding and answering once the scanner's share is used up


Parser = Callable[[bytes, ParseLimits], Views]


def inspect(
    raw: bytes, limits: InspectLimits, scanner: Scanner, list_containers: Lister, parse: Parser = mime.views
) -> Inspection:
    """Every part that some client would show is scanned, each content once, and the raw message in a form that clamd
    takes for mail, less large parts that have only one reading. What is beyond a limit is NOT_SCANNED(LIMIT).
    Members of containers are reported after their container, with its verdict."""
    started = time.monotonic()
    views = parse(raw, ParseLimits(depth=limits.depth, parts=limits.parts))
    items = [item(part, is_ambiguous=views.is_ambiguous) for part in views.parts if len(part.data) <= limits.part_bytes]
    deadline = started + limits.wall_seconds - _ANSWER_SECONDS
    scanned = scan_message(raw, views.raw_spans, items, scanner, deadline)
    opens = scanned.engine.opens if scanned.engine else frozenset()
    containers = {each.digest: each.part.data for each in items if is_container(each.part.data)}
    listings = list_containers(containers, opens) if containers else {}
    reports = [
        judged(
            _report(each, _unmasked(result, listings.get(each.digest))),
            each.kind.classes,
            readers.unopened(each.kind, opens),
        )
        for each, result in zip(items, scanned.results, strict=True)
    ]
    reports = _within_reach(reports, containers, listings, scanner, deadline)
    unreached = _scan_unreached(listings, scanner, deadline)
    reports = _with_members(reports, listings, unreached)
    own = {each.digest: result for each, result in zip(items, scanned.results, strict=True)}
    reports = _with_suspicions(reports, own, unreached)
    reports += [_too_large(part) for part in views.parts if len(part.data) > limits.part_bytes]
    reports += [_beyond(limit) for limit in views.exceeded]
    is_suspicious = scanned.whole.verdict is Verdict.SUSPICIOUS
    whole = scanned.whole if is_suspicious or not scanned.whole.masks else CLEAN  # its parts have told what there is
    reports += _raw_reports(len(raw), whole, reports)
    engine = scanned.engine
    return Inspection(
        parts=tuple(reports),
        defects=views.defects,
        engine=engine.version.engine if engine else "",
        signatures=engine.version.signatures if engine else "",
        scanner=engine.scanner if engine else "",
        wall_seconds=time.monotonic() - started,
        scanner_seconds=scanned.seconds,
        remembered=scanned.remembered,
    )


def _unmasked(result: ScanResult, listing: Listing | None) -> ScanResult:
    """A finding that may hide a limit or encryption counts for nothing here: the file is clean where the gateway has
    gone through it by itself, as far as the scanner is known to reach; else it was not scanned. What the scanner
    suspects may be no container at all; that it does is added later (`_with_suspicions`)."""
    if not result.masks:
        return result
    if listing.is_whole if listing is not None else result.verdict is Verdict.SUSPICIOUS:
        return CLEAN
    detail = result.detail or f"{result.signature} says nothing of the rest"
    return unscanned(Unscanned.LIMIT, detail)


def _with_suspicions(
    reports: list[PartReport], own: Mapping[str, ScanResult], unreached: Mapping[str, Mapping[str, ScanResult]]
) -> list[PartReport]:
    """The reports, with what the scanner suspects: a part, with all that the scan of it went through, or a member that
    was scanned by itself, with what holds it. What else is said of them stays said, in a report of its own: a suspicion
    is no statement that the rest was scanned. `own` by digest, `unreached` by digest and path."""
    whole: list[PartReport] = []
    container, found, members = "", "", dict[str, str]()
    for report in reports:
        if report.digest:
            container, found = report.place, _suspicion(own.get(report.digest))
            inside = unreached.get(report.digest, {})
            members = {path: _suspicion(result) for path, result in inside.items()}
            signature = found or next(filter(None, members.values()), "")
        else:
            path = report.place.removeprefix(f"{container}/")
            signature = members.get(path, found) if container and path != report.place and path != "*" else ""
        if not signature or report.verdict is Verdict.INFECTED:
            whole.append(report)
            continue
        whole.append(replace(report, verdict=Verdict.SUSPICIOUS, signature=signature, reason=None, detail=""))
        if report.verdict is not Verdict.CLEAN:
            whole.append(replace(report, place=f"{report.place}/*", digest=""))
    return whole


def _suspicion(result: ScanResult | None) -> str:
    """The name of what the scanner suspects; empty where nothing."""
    return result.signature if result is not None and result.verdict is Verdict.SUSPICIOUS else ""


def _report(item: Item, result: ScanResult) -> PartReport:
    part, kind = item.part, item.kind
    classes = kind.classes
    if result.encrypted and PartClass.ENCRYPTED not in classes:
        classes = (*classes, PartClass.ENCRYPTED)
    return PartReport(
        place=part.place,
        name=part.name,
        declared_type=part.declared_type,
        detected_type=kind.mime,
        size=len(part.data),
        digest=item.digest,
        verdict=result.verdict,
        signature=result.signature,
        reason=result.reason,
        detail=result.detail,
        encrypted=PartClass.ENCRYPTED in classes,
        is_attachment=part.is_attachment,
        classes=tuple(classes),
        names=part.names,
        placements=_placements(part, kind.mime),
    )


def _placements(part: Part, detected_type: str) -> tuple[Placement, ...]:
    is_body = not part.is_attachment and not part.name and detected_type.startswith("text/")
    own = Placement.BODY if is_body else Placement.ATTACHMENT
    return (own,) * part.is_own + (Placement.MESSAGE,) * part.is_forwarded


def _within_reach(
    reports: list[PartReport],
    containers: Mapping[str, bytes],
    listings: Mapping[str, Listing],
    scanner: Scanner,
    deadline: float,
) -> list[PartReport]:
    """The reports; a container that holds more than the scanner was seen to unpack was not scanned, whatever it said:
    it tells of one thing, such as encryption, and is silent about others, such as its limit."""
    short: dict[str, ScanResult] = {}
    for digest, listing in listings.items():
        total = listing.unpacked + len(containers[digest])
        result = scanner.reach(min(listing.largest, total), total, deadline)
        if result.verdict is not Verdict.CLEAN:
            short[digest] = result
    checked: list[PartReport] = []
    for report in reports:
        lacking = short.get(report.digest)
        if lacking is None or report.verdict is Verdict.INFECTED or report.reason is lacking.reason:
            checked.append(report)
            continue
        short_of = replace(report, verdict=lacking.verdict, signature="", reason=lacking.reason, detail=lacking.detail)
        inside = replace(short_of, place=f"{report.place}/*", digest="")
        checked += [short_of] if report.verdict is Verdict.CLEAN else [report, inside]
    return checked


def _scan_unreached(
    listings: Mapping[str, Listing], scanner: Scanner, deadline: float
) -> dict[str, dict[str, ScanResult]]:
    """The verdicts of members that the scanner does not unpack by itself: by the digest of the container, by path."""
    places = [(digest, path) for digest, listing in listings.items() for path, _ in listing.unreached]
    if not places:
        return {}
    contents = [content for listing in listings.values() for _, content in listing.unreached]
    batch = scanner.scan([Sample((content,), sha256(content).hexdigest()) for content in contents], deadline)
    verdicts: dict[str, dict[str, ScanResult]] = {}
    for (digest, path), result in zip(places, batch.results, strict=True):
        verdicts.setdefault(digest, {})[path] = result
    return verdicts


def _with_members(
    reports: list[PartReport], listings: Mapping[str, Listing], scanned: Mapping[str, Mapping[str, ScanResult]]
) -> list[PartReport]:
    """The reports, each container followed by what is inside; an infected one too, since an exception from the verdict
    of the scanner is none from the rules."""
    whole: list[PartReport] = []
    for report in reports:
        listing = listings.get(report.digest)
        inside = {path: _unmasked(result, listing) for path, result in scanned.get(report.digest, {}).items()}
        whole += [report] if listing is None else container_reports(report, listing, inside)
    return whole


def _too_large(part: Part) -> PartReport:
    result = unscanned(Unscanned.LIMIT, "larger than the limit for one part")
    return _report(Item(part, "", filetype.detect(part.data, *part.names), is_shown=False), result)


_BEYOND = {
    "parts": "it has more parts than limits.parts allows",
    "depth": "its parts lie deeper in each other than limits.depth allows",
}


def _beyond(limit: str) -> PartReport:
    """What the parser did not reach: something is there, and nobody has looked at it."""
    detail = _BEYOND.get(limit, f"limit of the parser: {limit}")
    return PartReport("", "", "", "", 0, "", Verdict.NOT_SCANNED, reason=Unscanned.LIMIT, detail=detail)


def _raw_reports(size: int, result: ScanResult, parts: Sequence[PartReport]) -> list[PartReport]:
    """The raw message's own report; none where its limit or encryption is one that a part has reported: that part
    keeps the message from being clean, and rules about the part are to decide."""
    if not result.is_transient and result.reason is not None and any(part.reason is result.reason for part in parts):
        return []
    return [
        PartReport(
            place=WHOLE_MESSAGE,
            name="",
            declared_type="message/rfc822",
            detected_type="message/rfc822",
            size=size,
            digest="",
            verdict=result.verdict,
            signature=result.signature,
            reason=result.reason,
            detail=result.detail,
            encrypted=result.encrypted,
        )
    ]
