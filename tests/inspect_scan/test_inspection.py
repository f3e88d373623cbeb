"""How parts, scans and limits are folded into one Inspection: parser and scanner are scripted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailgate.inspect.clamd import Sample
from mailgate.inspect.inspection import Parser, inspect
from mailgate.inspect.members import Listing
from mailgate.inspect.parts import ParseLimits, Part, Views
from mailgate.inspect.replies import CLEAN, ScanResult, Version, unscanned
from mailgate.inspect.scanners import Engine, ScanBatch
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import Inspection, Unscanned, Verdict

FOUND = ScanResult(Verdict.INFECTED, signature="Test.Eicar")
LIMIT = unscanned(Unscanned.LIMIT, "Heuristics.Limits.Exceeded.MaxScanSize")
ENCRYPTED = ScanResult(Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED, encrypted=True)
DOWN = unscanned(Unscanned.SCANNER_DOWN, "nobody is there")
ERROR = unscanned(Unscanned.SCANNER_ERROR, "Can't allocate memory")
LIMITS = InspectLimits()
RAW = b"MIME-Version: 1.0\r\n\r\nthe raw message"


class ScriptedScanner:
    """Answers by content; what `answers` does not know is clean, the raw message is `raw`."""

    def __init__(self, answers: dict[bytes, ScanResult], raw: ScanResult = CLEAN) -> None:
        self._answers = answers
        self._raw = raw
        self.scanned: list[bytes] = []
        self.deadline = 0.0

    def scan(self, samples: Sequence[Sample], deadline: float) -> ScanBatch:
        self.deadline = deadline
        contents = [b"".join(sample.pieces) for sample in samples]
        self.scanned += contents
        *parts, _ = [self._answers.get(content, CLEAN) for content in contents]
        engine = Engine("unix:/1", Version("ClamAV 1.4.6", "27800"))
        return ScanBatch((*parts, self._raw), engine, 0.25)

    def reach(self, member: int, total: int, deadline: float) -> ScanResult:
        return CLEAN


def part(place: str, data: bytes, name: str = "") -> Part:
    return Part(place, name, (name,) if name else (), "text/plain", "base64", data, bool(name), (0, 0), True)


def parser(*parts: Part, exceeded: tuple[str, ...] = (), spans: tuple[tuple[int, int], ...] | None = None) -> Parser:
    return lambda raw, limits: Views(parts, (), exceeded, ((0, len(raw)),) if spans is None else spans)


def no_containers(contents: Mapping[str, bytes], opens: frozenset[str]) -> dict[str, Listing]:
    raise AssertionError("nothing here is a container")


def inspected(scanner: ScriptedScanner, parse: Parser, limits: InspectLimits = LIMITS, raw: bytes = RAW) -> Inspection:
    return inspect(raw, limits, scanner, no_containers, parse)


def fold(results: Sequence[ScanResult], raw: ScanResult = CLEAN) -> Inspection:
    """The inspection of a message whose parts were answered by `results`."""
    contents = [b"part %d" % number for number in range(len(results))]
    scanner = ScriptedScanner(dict(zip(contents, results, strict=True)), raw)
    parts = (part(str(number + 1), content) for number, content in enumerate(contents))
    return inspected(scanner, parser(*parts))


def test_every_part_and_the_raw_message_are_scanned_in_one_call() -> None:
    scanner = ScriptedScanner({})
    found = inspected(scanner, parser(part("1", b"text"), part("2", b"file", "a.txt")))
    assert scanner.scanned == [b"text", b"file", b"Received: from localhost\r\n" + RAW]
    assert [(report.place, report.name, report.size) for report in found.parts] == [
        ("1", "", 4),
        ("2", "a.txt", 4),
        ("raw", "", len(RAW)),
    ]
    assert found.verdict is Verdict.CLEAN
    assert (found.engine, found.signatures, found.scanner) == ("ClamAV 1.4.6", "27800", "unix:/1")
    assert found.scanner_seconds == 0.25


def test_the_report_holds_digest_and_every_name() -> None:
    two_names = replace(part("1", b"abc", "a.txt"), names=("a.txt", "a.exe"))
    report = inspected(ScriptedScanner({}), parser(two_names)).parts[0]
    assert report.names == ("a.txt", "a.exe")
    assert report.digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_large_parts_are_left_out_of_the_raw_scan() -> None:
    scanner = ScriptedScanner({})
    inspect(
        b"head-large-tail",
        InspectLimits(),
        scanner,
        no_containers,
        parser(part("1", b"large"), spans=((0, 5), (10, 15))),
    )
    assert scanner.scanned[-1] == b"Received: from localhost\r\nhead--tail"


@pytest.mark.parametrize("result", [FOUND, LIMIT, ENCRYPTED, DOWN, ERROR])
@pytest.mark.parametrize("where", ["part", "raw"])
def test_one_result_that_is_not_clean_keeps_the_message_from_being_clean(result: ScanResult, where: str) -> None:
    found = fold([CLEAN, result]) if where == "part" else fold([CLEAN, CLEAN], result)
    assert found.verdict is result.verdict
    assert found.is_transient is result.is_transient


RESULTS = st.sampled_from([CLEAN, FOUND, LIMIT, ENCRYPTED, DOWN, ERROR])


@given(st.lists(RESULTS, max_size=6), RESULTS)
def test_the_worst_result_decides_whatever_the_raw_scan_repeats(results: list[ScanResult], raw: ScanResult) -> None:
    found = fold(results, raw)
    verdicts = {result.verdict for result in (*results, raw)}
    worst = next(v for v in (Verdict.INFECTED, Verdict.NOT_SCANNED, Verdict.CLEAN) if v in verdicts)
    assert found.verdict is worst
    assert {part.reason for part in found.parts} == {result.reason for result in (*results, raw)}


@pytest.mark.parametrize("result", [LIMIT, ENCRYPTED])
def test_the_raw_scan_does_not_repeat_what_a_part_reported(result: ScanResult) -> None:
    assert [report.place for report in fold([result], result).unscanned] == ["1"]


def test_the_raw_scan_reports_a_reason_that_no_part_has() -> None:
    assert [report.place for report in fold([LIMIT], ENCRYPTED).unscanned] == ["1", "raw"]


def test_an_infection_of_the_raw_message_counts_though_every_part_is_clean() -> None:
    found = fold([CLEAN, CLEAN], FOUND)
    assert (found.verdict, found.signature) == (Verdict.INFECTED, "Test.Eicar")


def test_encryption_is_a_class_of_the_part() -> None:
    report = fold([ENCRYPTED]).parts[0]
    assert report.encrypted
    assert PartClass.ENCRYPTED in report.classes


def test_what_the_parser_did_not_reach_is_not_scanned() -> None:
    found = inspected(ScriptedScanner({}), parser(part("1", b"x"), exceeded=("depth", "parts")))
    assert [(report.reason, report.detail) for report in found.unscanned] == [
        (Unscanned.LIMIT, "its parts lie deeper in each other than limits.depth allows"),
        (Unscanned.LIMIT, "it has more parts than limits.parts allows"),
    ]


def test_a_part_above_the_limit_is_not_handed_to_the_scanner() -> None:
    scanner = ScriptedScanner({})
    found = inspected(scanner, parser(part("1", b"small"), part("2", b"tiny")), InspectLimits(part_bytes=4))
    assert b"small" not in scanner.scanned
    assert [(report.place, report.reason) for report in found.unscanned] == [("1", Unscanned.LIMIT)]


def test_the_parser_gets_the_limits_of_the_request() -> None:
    seen: list[ParseLimits] = []

    def recording(raw: bytes, limits: ParseLimits) -> Views:
        seen.append(limits)
        return Views((), (), (), ())

    inspected(ScriptedScanner({}), recording, InspectLimits(depth=7, parts=9))
    assert (seen[0].depth, seen[0].parts) == (7, 9)


def test_the_scanner_must_answer_before_the_wall_time_is_over() -> None:
    scanner = ScriptedScanner({})
    inspected(scanner, parser(), InspectLimits(wall_seconds=30))
    assert 20 < scanner.deadline - time.monotonic() < 30


def test_a_message_without_parts_is_judged_by_its_raw_scan() -> None:
    assert fold([]).verdict is Verdict.CLEAN
    assert fold([], DOWN).verdict is Verdict.NOT_SCANNED


class ShortScanner(ScriptedScanner):
    """Was never seen to unpack more than 1,000 bytes."""

    def reach(self, member: int, total: int, deadline: float) -> ScanResult:
        return CLEAN if total <= 1000 else LIMIT


@pytest.mark.parametrize("answer", [CLEAN, ENCRYPTED, LIMIT, DOWN, FOUND])
@pytest.mark.parametrize("unpacked", [100, 5000])
def test_what_the_scanner_was_never_seen_to_unpack_was_not_scanned_whatever_it_says(
    answer: ScanResult, unpacked: int
) -> None:
    content = b"PK\x03\x04 many files"
    scanner = ShortScanner({content: answer})

    def lister(contents: Mapping[str, bytes], opens: frozenset[str]) -> dict[str, Listing]:
        return {digest: Listing(largest=unpacked, unpacked=unpacked) for digest in contents}

    found = inspect(RAW, LIMITS, scanner, lister, parser(part("1", content)))
    reasons = {report.reason for report in found.parts if report.place.startswith("1")}
    expected = {answer.reason}
    if unpacked > 1000 and answer is not FOUND:
        expected = {Unscanned.LIMIT} | (set() if answer is CLEAN else expected)
    assert reasons == expected
    assert (found.verdict is Verdict.CLEAN) is (expected == {None} and answer is CLEAN)
