"""The client against a real clamd: every way to hand over content, sessions, limits, restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mailgate.inspect.clamd import Sample, ScannerLostError, TcpClient, UnixClient, client
from mailgate.inspect.replies import ScanResult
from mailgate.inspect.scanners import ScannerPool
from mailgate.model.verdict import Unscanned, Verdict
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.inspect_scan.small_clamd import SCAN_LIMIT, STREAM_LIMIT, SmallClamd
from tests.support.clamd import EICAR_NAME, TESTFILE_NAME
from tests.support.clock import ManualClock, eventually
from tests.support.components import TESTFILES
from tests.support.gateway import short_folder
from tests.support.messages import EICAR

pytestmark = pytest.mark.component("clamd")

Session = TcpClient | UnixClient


def soon() -> float:
    return time.monotonic() + 30


def scan(session: Session, *contents: bytes) -> list[ScanResult]:
    results: dict[int, ScanResult] = {}
    session.scan({n: Sample((content,)) for n, content in enumerate(contents)}, results, soon())
    return [results[n] for n in range(len(contents))]


@pytest.fixture(params=["unix", "tcp"])
def session(request: pytest.FixtureRequest, small_clamd: SmallClamd) -> Iterator[Session]:
    made = client(small_clamd.endpoint if request.param == "unix" else small_clamd.tcp_endpoint)
    yield made
    made.disconnect()


def test_infected_and_clean(session: Session) -> None:
    infected, clean = scan(session, EICAR, b"Good morning\r\n")
    assert (infected.verdict, clean.verdict) == (Verdict.INFECTED, Verdict.CLEAN)
    assert infected.signature == f"{EICAR_NAME}.UNOFFICIAL"


def test_answers_find_their_samples_however_many_are_under_way(session: Session) -> None:
    contents = [EICAR + b"%d" % n if n % 7 == 3 else b"harmless %d" % n * (n % 50 + 1) for n in range(400)]
    found = [result.verdict is Verdict.INFECTED for result in scan(session, *contents)]
    assert found == [n % 7 == 3 for n in range(400)]


def test_content_in_pieces_is_one_content(session: Session) -> None:
    results: dict[int, ScanResult] = {}
    pieces = (EICAR[:20], memoryview(EICAR)[20:40], b"", EICAR[40:])
    session.scan({5: Sample(pieces)}, results, soon())
    assert results[5].verdict is Verdict.INFECTED


def test_content_longer_than_a_chunk_is_scanned_to_its_end(session: Session) -> None:
    assert scan(session, bytes(300_000) + EICAR)[0].verdict is Verdict.INFECTED


def test_one_connection_serves_many_calls(session: Session) -> None:
    scan(session, b"one")
    first = session.clamd_socket
    scan(session, b"two")
    assert session.ask_version(soon()).engine.startswith("ClamAV ")
    scan(session, EICAR)
    assert session.clamd_socket is first


def test_encrypted_archives_are_not_scanned(session: Session) -> None:
    result = scan(session, encrypted_zip("secret.txt", b"nobody reads this"))[0]
    assert (result.verdict, result.reason, result.encrypted) == (Verdict.NOT_SCANNED, Unscanned.ENCRYPTED, True)


def test_beyond_the_scan_limit_is_not_scanned(small_clamd: SmallClamd) -> None:
    session = client(small_clamd.endpoint)
    result = scan(session, bytes(SCAN_LIMIT + 1))[0]
    session.disconnect()
    assert (result.verdict, result.reason) == (Verdict.NOT_SCANNED, Unscanned.LIMIT)


@pytest.mark.component("testfiles")
def test_every_container_of_clamavs_test_files_is_found(session: Session) -> None:
    files = sorted(TESTFILES.iterdir())
    results = scan(session, *(file.read_bytes() for file in files))
    missed = [file.name for file, result in zip(files, results, strict=True) if TESTFILE_NAME not in result.signature]
    assert len(files) > 40
    assert not missed


def test_a_session_that_ended_meanwhile_is_opened_again(mortal_clamd: SmallClamd) -> None:
    mortal_clamd.start()
    session = client(mortal_clamd.endpoint)
    scan(session, b"before")
    mortal_clamd.stop()
    mortal_clamd.start()
    assert scan(session, EICAR)[0].verdict is Verdict.INFECTED


def test_a_session_sees_signatures_that_were_loaded_after_it_began(mortal_clamd: SmallClamd) -> None:
    mortal_clamd.forget_signatures()
    mortal_clamd.start()
    session = client(mortal_clamd.endpoint)
    assert scan(session, EICAR)[0].verdict is Verdict.CLEAN
    mortal_clamd.restore_signatures()
    client(mortal_clamd.endpoint).reload()
    eventually(lambda: scan(session, EICAR)[0].verdict is Verdict.INFECTED, "the new signatures are in use")


def test_nobody_there_is_lost_and_says_where() -> None:
    with pytest.raises(ScannerLostError, match=r"unix:/nonexistent/clamd\.sock"):
        scan(client("unix:/nonexistent/clamd.sock"), b"x")


def test_a_deadline_that_has_passed_is_a_timeout(session: Session) -> None:
    with pytest.raises(ScannerLostError) as caught:
        session.scan({0: Sample((b"x",))}, {}, time.monotonic() - 1)
    assert caught.value.is_timeout


def test_ipv6() -> None:
    try:
        scanner = SmallClamd(short_folder("mg-scan6-"), "::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        scanner.start()
        session = client(scanner.tcp_endpoint)
        assert scan(session, EICAR)[0].verdict is Verdict.INFECTED
        session.disconnect()
    finally:
        scanner.remove()


def test_a_stream_above_the_limit_is_a_limit_and_takes_no_other_with_it(small_clamd: SmallClamd) -> None:
    pool = ScannerPool([client(small_clamd.tcp_endpoint)])
    contents = [b"small", EICAR, bytes(16 * STREAM_LIMIT), b"another", EICAR + b"2"]
    verdicts = [(r.verdict, r.reason) for r in pool.scan([Sample((c,)) for c in contents], soon()).results]
    assert verdicts == [
        (Verdict.CLEAN, None),
        (Verdict.INFECTED, None),
        (Verdict.NOT_SCANNED, Unscanned.LIMIT),
        (Verdict.CLEAN, None),
        (Verdict.INFECTED, None),
    ]


def test_a_restart_costs_no_message(mortal_clamd: SmallClamd) -> None:
    mortal_clamd.start()
    clock = ManualClock()
    pool = ScannerPool([client(mortal_clamd.endpoint)], clock)
    sample = [Sample((b"text",))]
    assert pool.scan(sample, soon()).results[0].verdict is Verdict.CLEAN
    mortal_clamd.stop()
    down = pool.scan(sample, soon()).results[0]
    assert (down.verdict, down.is_transient) == (Verdict.NOT_SCANNED, True)
    mortal_clamd.start()
    clock.advance(11)
    assert pool.scan(sample, soon()).results[0].verdict is Verdict.CLEAN


def test_a_database_without_the_canary_is_noticed_and_its_return_too(mortal_clamd: SmallClamd) -> None:
    mortal_clamd.forget_signatures()
    mortal_clamd.start()
    clock = ManualClock()
    pool = ScannerPool([client(mortal_clamd.endpoint)], clock)
    result = pool.scan([Sample((b"text",))], soon()).results[0]
    assert (result.verdict, result.reason) == (Verdict.NOT_SCANNED, Unscanned.SCANNER_DOWN)
    assert "EICAR" in result.detail

    mortal_clamd.restore_signatures()
    client(mortal_clamd.endpoint).reload()

    def is_well() -> bool:
        clock.advance(11)
        return pool.scan([Sample((b"text",))], soon()).results[0].verdict is Verdict.CLEAN

    eventually(is_well, "the scanner is used again")
