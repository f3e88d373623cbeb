"""Finds the aggregate reports in a message and reads them, in a child process that is stopped at its limits: archives
and XML of strangers are read by libraries in C."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from mailgate.inspect import mime
from mailgate.inspect.bounded import BoundedChild, Bounds
from mailgate.inspect.report_xml import ReportError, read_report
from mailgate.inspect.tls_report_json import read_tls_report
from mailgate.model.received_report import ReceivedReport, ReportReading, TlsReport

MOST_REPORTS = 5  # in one message; one is the rule (RFC 9990 section 3.5)
MOST_BYTES = 64 << 20  # of the XML of one report
CPU_SECONDS = 10.0
WALL_SECONDS = 20.0
MEMORY_BYTES = 512 << 20

DEEPEST = 3  # archives in one another

_GZIP, _ZIP, _BLANKS = b"\x1f\x8b", b"PK\x03\x04", b"\t\n\r "
_FEEDBACK = re.compile(rb"<(?:[A-Za-z][\w.-]{0,40}:)?feedback\b")
_POLICIES = b'"policies"'  # of a TLS report, as JSON
_NEAR_THE_BEGINNING = 4096  # bytes

_BROKEN = (
    *(OSError, EOFError, ValueError, RuntimeError, struct.error),  # RuntimeError: encrypted, or packed in an odd way
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ReportReading).decode


def read_reports(raw: bytes) -> ReportReading:
    """All reports of one message; whatever the bytes, it returns."""
    candidates = [part.data for part in mime.views(raw).parts if part.is_strict and _may_be_report(part.data)]
    if not candidates:
        return ReportReading(problem="the message holds no report")
    child = BoundedChild(_readings, CPU_SECONDS, MEMORY_BYTES)
    try:
        answers = [_decode(answer) for answer in child.run(candidates[:MOST_REPORTS], WALL_SECONDS)]
    finally:
        child.close()
    if len(answers) < min(len(candidates), MOST_REPORTS):
        answers.append(ReportReading(problem="a report takes too much time or memory to read"))
    reports = tuple(report for answer in answers for report in answer.reports)
    tls = tuple(report for answer in answers for report in answer.tls)
    return ReportReading(reports, next((answer.problem for answer in answers if answer.problem), ""), tls)


def _may_be_report(data: bytes) -> bool:
    start = data[:_NEAR_THE_BEGINNING].removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS)
    if start.startswith(b"{"):
        return _POLICIES in data
    return start.startswith((_GZIP, _ZIP)) or _FEEDBACK.search(data, 0, _NEAR_THE_BEGINNING) is not None


def _readings(contents: Sequence[bytes]) -> Iterator[bytes]:
    """The child's work."""
    for content in contents:
        yield _encode(_reading(content))


READING = Bounds(_readings, CPU_SECONDS, MEMORY_BYTES)


def _reading(content: bytes) -> ReportReading:
    reports: list[ReceivedReport] = []
    tls: list[TlsReport] = []
    problem = ""
    try:
        for document in unpacked(content):
            if document.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS).startswith(b"{"):
                tls += read_tls_report(document)
            else:
                reports.append(read_report(document))
    except ReportError as error:
        problem = str(error)
    except MemoryError:
        problem = "a report takes too much memory to read"
    return ReportReading(tuple(reports), problem, tuple(tls))


def unpacked(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """The XML of gzip, zip, neither, or of one in the other; ReportError."""
    start = content[: len(content) - len(content.lstrip(_BLANKS)) + 4].lstrip(_BLANKS)
    try:
        if depth < DEEPEST and start.startswith(_GZIP):
            yield from unpacked(_bounded(_inflated(content.lstrip(_BLANKS))), depth + 1)
        elif depth < DEEPEST and start.startswith(_ZIP):
            for member in _members(content):
                yield from unpacked(member, depth + 1)
        else:
            yield _bounded(content)
    except _BROKEN as error:
        raise ReportError(f"it can't be unpacked: {error}"[:200]) from None


def _inflated(content: bytes) -> bytes:
    """Of all members of a gzip file; what follows them is nothing to us, and a check sum that is missing neither."""
    found = b""
    while content.startswith(_GZIP) and len(found) <= MOST_BYTES:
        member = zlib.decompressobj(wbits=31)
        found += member.decompress(content, MOST_BYTES + 1 - len(found))
        content = member.unused_data
    return found


def _members(content: bytes) -> Iterator[bytes]:
    """Of a zip; reports stand in it as one file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [member for member in archive.infolist() if not _is_beside(member)]
        members = [member for member in files if member.filename.lower().endswith(".xml")] or files[:1]
        if not members:
            raise ReportError("there is no XML in the zip")
        for member in members[:MOST_REPORTS]:
            with archive.open(member) as file:
                yield _bounded(file.read(MOST_BYTES + 1))


def _is_beside(member: zipfile.ZipInfo) -> bool:
    """A folder, or what macOS keeps of a file beside it."""
    return member.is_dir() or member.filename.rpartition("/")[2].startswith("._")


def _bounded(xml: bytes) -> bytes:
    if len(xml) > MOST_BYTES:
        raise ReportError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
    return xml
