"""Whatever a real clamd's configuration leaves out must be noticed before its word counts."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mailgate.inspect import canary_files as files
from mailgate.inspect.clamd import Sample, client
from mailgate.inspect.replies import ScanResult
from mailgate.inspect.scanners import ScannerPool
from mailgate.inspect.worker import inspector
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.verdict import Inspection, Unscanned, Verdict
from tests.inspect_scan.small_clamd import SmallClamd
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.gateway import short_folder
from tests.support.messages import EICAR

pytestmark = pytest.mark.component("clamd")

# What Debian 12's package writes into /etc/clamav/clamd.conf.
DEBIAN = {
    "MaxScanSize": "100M",
    "MaxFileSize": "25M",
    "StreamMaxLength": "25M",
    "MaxRecursion": "16",
    "MaxFiles": "10000",
    "AlertExceedsMax": "no",
    "AlertEncrypted": "no",
    "AlertEncryptedArchive": "no",
    "AlertEncryptedDoc": "no",
    "AlertOLE2Macros": "no",
}


@contextmanager
def scanner(**options: str) -> Iterator[Clamd]:
    clamd = Clamd(short_folder("mg-can-"))
    clamd.configure(**options)
    try:
        clamd.start()
        yield clamd
    finally:
        clamd.remove()


def soon() -> float:
    return time.monotonic() + 60


def scanned(pool: ScannerPool, content: bytes) -> ScanResult:
    return pool.scan([Sample((content,))], soon()).results[0]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"AlertExceedsMax": "no"}, "AlertExceedsMax yes"),
        (
            {"AlertEncrypted": "no", "AlertEncryptedArchive": "no", "AlertEncryptedDoc": "no"},
            "AlertEncryptedArchive yes",
        ),
        ({"HeuristicScanPrecedence": "yes"}, "HeuristicScanPrecedence no"),
        ({"MaxFileSize": "25M"}, "MaxFileSize 400M"),
        ({"MaxFileSize": "900K", "MaxScanSize": "900K"}, "MaxScanSize 400M"),
        ({"MaxRecursion": "5"}, "MaxRecursion 17"),
        ({"MaxFiles": "500"}, "MaxFiles 10000"),
        ({"ScanArchive": "no"}, "ScanArchive yes"),
        ({"ScanMail": "no"}, "ScanMail yes"),
        ({"ScanOLE2": "no"}, "ScanOLE2 yes"),
        ({"ScanPDF": "no"}, "ScanPDF yes"),
        ({"ScanHTML": "no"}, "ScanHTML yes"),
        (DEBIAN, "AlertExceedsMax yes"),
        (DEBIAN, "MaxFileSize 400M"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value)[:40],
)
def test_a_clamd_that_calls_clean_what_it_did_not_scan_is_not_used(options: dict[str, str], line: str) -> None:
    with scanner(**options) as clamd:
        pool = ScannerPool([client(clamd.endpoint)])
        result = scanned(pool, b"harmless")
        (health,) = pool.health(soon())
    assert (result.verdict, result.reason) == (Verdict.NOT_SCANNED, Unscanned.SCANNER_DOWN)
    assert line in health.trouble
    assert line in [each for fault in health.faults for each in fault.lines]


def test_a_clamd_that_tells_of_macros_is_used_but_not_for_files_with_macros() -> None:
    with scanner(AlertOLE2Macros="yes") as clamd:
        pool = ScannerPool([client(clamd.endpoint)])
        assert scanned(pool, b"harmless").verdict is Verdict.CLEAN
        result = scanned(pool, files.macros())
        (health,) = pool.health(soon())
    assert (result.verdict, result.reason) == (Verdict.NOT_SCANNED, Unscanned.SCANNER_ERROR)
    assert (health.trouble, [fault.lines for fault in health.faults]) == ("", [("AlertOLE2Macros no",)])


def test_a_clamd_that_tells_of_its_limits_is_used_however_low_they_are(small_clamd: SmallClamd) -> None:
    for endpoint in (small_clamd.endpoint, small_clamd.tcp_endpoint):
        assert scanned(ScannerPool([client(endpoint)]), b"harmless").verdict is Verdict.CLEAN


def test_it_is_known_which_archives_the_scanner_opens(small_clamd: SmallClamd) -> None:
    engine = ScannerPool([client(small_clamd.endpoint)]).engine(soon())
    assert engine is not None
    assert engine.opens >= set(files.ARCHIVES) - {"application/vnd.rar", "application/x-lzh-compressed"}


def test_a_clamd_that_starts_anew_with_another_configuration_proves_itself_again() -> None:
    with scanner() as clamd:
        pool = ScannerPool([client(clamd.endpoint)])
        assert scanned(pool, b"harmless").verdict is Verdict.CLEAN
        clamd.stop()
        clamd.configure(AlertExceedsMax="no")
        clamd.start()
        assert scanned(pool, b"harmless").reason is Unscanned.SCANNER_DOWN  # within the seconds that a canary is good


def zipped(*contents: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(str(number), content)
    return made.getvalue()


BIG = gzip.compress(bytes(101 << 20) + EICAR)
MACROS = files.macros()


def inspected(clamd: Clamd, content: bytes) -> Inspection:
    inspection = inspector([clamd.endpoint])
    return inspection(messages.with_attachment("a", content, "report.zip"), InspectLimits())


@pytest.mark.parametrize(
    "content",
    [
        zipped(BIG),
        zipped(MACROS, BIG),
        zipped(BIG, MACROS),
        zipped(zipped(MACROS), zipped(BIG)),
        gzip.compress(zipped(MACROS, zipped(zipped(BIG)))),
        zipped(MACROS, bytes(101 << 20) + EICAR),
        zipped(MACROS, *(bytes([number]) * (30 << 20) for number in range(4)), EICAR[:-1] + b"x"),
    ],
    ids=["alone", "macros-first", "macros-last", "nested", "deep", "direct", "in-sum"],
)
@pytest.mark.parametrize("tells", [True, False])
def test_a_macro_document_hides_no_limit(
    content: bytes, tells: bool, hundred_megabytes: Callable[[bool], Clamd]
) -> None:
    found = inspected(hundred_megabytes(tells), content)
    reasons = {part.reason for part in found.unscanned}
    assert found.verdict is Verdict.NOT_SCANNED
    assert reasons == {Unscanned.LIMIT}


ONLY_THE_SCANNER = files.ARCHIVES["application/x-arj"][0]().replace(EICAR, b"x" * len(EICAR))


@pytest.mark.parametrize(
    ("content", "verdict", "where_it_tells"),
    [
        (MACROS, Verdict.CLEAN, Verdict.CLEAN),
        (zipped(MACROS, b"a text"), Verdict.CLEAN, Verdict.CLEAN),
        (zipped(MACROS, EICAR), Verdict.INFECTED, Verdict.INFECTED),
        (zipped(MACROS, zipped(files.encrypted())), Verdict.NOT_SCANNED, Verdict.NOT_SCANNED),
        (zipped(MACROS, gzip.compress(b"a text")[:-12]), Verdict.NOT_SCANNED, Verdict.NOT_SCANNED),
        (zipped(MACROS, ONLY_THE_SCANNER), Verdict.CLEAN, Verdict.NOT_SCANNED),
    ],
    ids=["document", "archive", "infected", "encrypted", "broken", "only the scanner opens it"],
)
def test_a_file_with_macros_is_judged_by_what_the_gateway_sees_in_it(
    content: bytes, verdict: Verdict, where_it_tells: Verdict, hundred_megabytes: Callable[[bool], Clamd]
) -> None:
    for is_right, expected in ((True, verdict), (False, where_it_tells)):
        found = inspected(hundred_megabytes(is_right), content)
        assert (found.verdict, found.is_transient) == (expected, False)


@pytest.fixture(scope="module")
def hundred_megabytes() -> Iterator[Callable[[bool], Clamd]]:
    """Two with MaxScanSize 100M: one as it should be, one that tells of macros first."""
    limits = {"MaxScanSize": "100M", "MaxFileSize": "100M"}
    with scanner(**limits) as right, scanner(**limits, AlertOLE2Macros="yes") as wrong:
        yield lambda tells: right if tells else wrong


def test_a_member_as_large_as_is_listed_is_scanned_to_its_end_or_it_is_the_scanners_fault() -> None:
    with scanner(MaxFileSize="60M") as clamd:
        assert inspected(clamd, zipped(bytes(40 << 20) + EICAR)).verdict is Verdict.INFECTED
        found = inspected(clamd, zipped(bytes(70 << 20) + EICAR))
    assert (found.verdict, found.is_transient) == (Verdict.NOT_SCANNED, True)
    assert "MaxFileSize" in found.unscanned[0].detail
