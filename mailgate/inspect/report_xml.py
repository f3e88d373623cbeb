"""Reads the XML of an aggregate report, as it goes past: memory follows what is kept, not what a stranger sends. The
namespaces of RFC 7489 and RFC 9990, of drafts, and none at all are the same to it."""

from __future__ import annotations

import io
import ipaddress
import re
from collections import Counter
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from mailgate.inspect.report_repair import mended
from mailgate.model.address import AddressError, parse_domain
from mailgate.model.dmarc import Disposition
from mailgate.model.received_report import ReceivedReport, ReportedMail

MOST_RECORDS = 200_000
MOST_KINDS = 10_000  # of mail that one report is summed up to
MOST_MESSAGES = 1 << 40
LATEST = 1 << 33  # seconds since 1970
LONGEST_PERIOD = 35 * 86_400  # seconds
LONGEST_TEXT = 200  # characters of what the reporter calls itself and its report
DEEPEST = 20

_DATE = re.compile(r"[0-9]{1,4}[-/ ]")  # not a number

_DISPOSITIONS: dict[str, Disposition] = {
    "none": "none",
    "pass": "pass",
    "quarantine": "quarantine",
    "reject": "reject",
}


class ReportError(Exception):
    """Not a report, or not one that can be used; the text says why."""


class _IllFormedError(ReportError):
    """The XML is no document, or one around the report."""


def read_report(xml: bytes) -> ReceivedReport:
    """ReportError for anything but a report. No entity is resolved, nothing outside is asked for. What is not
    well-formed is tried a second time, mended."""
    try:
        return _read(xml)
    except _IllFormedError as error:
        try:
            return _read(mended(xml))
        except _IllFormedError:
            raise error from None


def _read(xml: bytes) -> ReceivedReport:
    reading = _Reading()
    try:
        for event, element in iterparse(io.BytesIO(xml), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                reading.begin(element)
            else:
                reading.end(element)
    except DefusedXmlException as error:
        kind = ReportError if b"<!ENTITY" in xml else _IllFormedError
        raise kind(f"the XML can't be read: {type(error).__name__}") from None
    except (ParseError, LookupError, ValueError) as error:
        raise _IllFormedError(f"the XML can't be read: {error}"[:LONGEST_TEXT]) from None
    return reading.report()


class _Reading:
    """`_path` holds the elements that are open, the root first."""

    def __init__(self) -> None:
        self._path: list[Element] = []
        self._metadata: Element | None = None
        self._policy: Element | None = None
        self._mails: Counter[tuple[str, Disposition, bool, bool]] = Counter()
        self._records = 0
        self._skipped = 0

    def begin(self, element: Element) -> None:
        if not self._path and _name(element) != "feedback":
            raise _IllFormedError(f"the root element is {_name(element)[:40]!r}, not feedback")
        self._path.append(element)
        if len(self._path) > DEEPEST:
            raise ReportError("its elements are nested too deeply")

    def end(self, element: Element) -> None:
        """What is a child of the root is taken in and let go."""
        self._path.pop()
        if len(self._path) != 1:
            return
        match _name(element):
            case "report_metadata" if self._metadata is None:
                self._metadata = element
            case "policy_published" if self._policy is None:
                self._policy = element
            case "record":
                self._record(element)
        self._path[0].remove(element)

    def _record(self, element: Element) -> None:
        self._records += 1
        if self._records > MOST_RECORDS:
            raise ReportError(f"it has more than {MOST_RECORDS} records")
        try:
            kind, messages = _mail(element)
        except ValueError:
            self._skipped += 1
            return
        if kind not in self._mails and len(self._mails) >= MOST_KINDS:
            self._skipped += 1
            return
        self._mails[kind] = min(self._mails[kind] + messages, MOST_MESSAGES)

    def report(self) -> ReceivedReport:
        if self._metadata is None or self._policy is None:
            raise ReportError("report_metadata or policy_published is missing")
        begin, end = _period(self._metadata)
        try:
            domain = parse_domain(_text(self._policy, "domain").removesuffix("."))
        except AddressError:
            raise ReportError("the domain of policy_published is none") from None
        return ReceivedReport(
            reporter=_label(self._metadata, "org_name"),
            report_id=_label(self._metadata, "report_id"),
            domain=domain,
            begin=begin,
            end=end,
            mails=tuple(ReportedMail(*kind, messages) for kind, messages in self._mails.most_common()),
            skipped=self._skipped,
        )


def _mail(record: Element) -> tuple[tuple[str, Disposition, bool, bool], int]:
    """ValueError for a record that does not tell what it must."""
    source = _address(_text(record, "row", "source_ip"))
    messages = _number(_text(record, "row", "count"), MOST_MESSAGES)
    disposition = _DISPOSITIONS.get(_text(record, "row", "policy_evaluated", "disposition").lower())
    dkim, spf = (_text(record, "row", "policy_evaluated", name).lower() for name in ("dkim", "spf"))
    if disposition is None or not messages:
        raise ValueError("no disposition, or no message")
    return (str(source), disposition, dkim == "pass", spf == "pass"), messages


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Some reporters write it as in EHLO, with zeros in front, with the length of its network, or with the name of an
    interface."""
    text = text.strip("[]").partition("%")[0].removesuffix("/32").removesuffix("/128")
    text = text[5:] if text[:5].lower() == "ipv6:" else text
    if ":" not in text:
        return ipaddress.ip_address(".".join(octet.lstrip("0") or octet[-1:] for octet in text.split(".")))
    source = ipaddress.IPv6Address(text)
    return source.ipv4_mapped or source


def _period(metadata: Element) -> tuple[int, int]:
    try:
        begin, end = (_text(metadata, "date_range", name) for name in ("begin", "end"))
        first, last = _moment(begin), _moment(end) if end else _moment(begin) + 86_399
    except ValueError:
        raise ReportError("the date_range can't be read") from None
    if not 0 <= last - first <= LONGEST_PERIOD:
        raise ReportError("the date_range is none")
    return first, last


def _moment(text: str) -> int:
    """Seconds since 1970; some reporters write a fraction, milliseconds, a date by ISO 8601 (UTC where it names no
    zone), or one as in mail."""
    if text[:1].isdigit() and not _DATE.match(text):
        number = _number(text, LATEST * 1000)
        return number // 1000 if number > LATEST else number
    text = text.removesuffix("UTC").removesuffix("GMT").strip()
    try:
        moment = datetime.fromisoformat(text.replace("/", "-"))
    except ValueError:
        moment = parsedate_to_datetime(text)
    return _number(str(int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())), LATEST)


def _number(text: str, most: int) -> int:
    """Without its fraction. ValueError for anything but digits, or for more than `most`."""
    text, dot, fraction = text.partition(".")
    if dot and not (fraction.isascii() and fraction.isdigit()):
        raise ValueError("not a number")
    if not (text.isascii() and text.isdigit() and len(text) <= 20) or int(text) > most:
        raise ValueError("not a number")
    return int(text)


def _label(element: Element, name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in _text(element, name)[:LONGEST_TEXT])


def _text(element: Element, *path: str) -> str:
    """Of the first element below `element` on this path; empty where there is none."""
    found: Element | None = element
    for name in path:
        found = next((child for child in found if _name(child) == name), None) if found is not None else None
    return (found.text or "").strip() if found is not None else ""


def _name(element: Element) -> str:
    """Without its namespace."""
    return str(element.tag).rpartition("}")[2]
