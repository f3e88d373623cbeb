"""What health and doctor conclude from what they see."""

from __future__ import annotations

import datetime
import socket
from contextlib import closing
from pathlib import Path

import pytest

from mailgate.inspect.canaries import Fault
from mailgate.inspect.replies import Version
from mailgate.inspect.scanners import Health
from mailgate.ops import checks, doctor, layout
from mailgate.ops.checks import Status
from mailgate.ops.health import OLD_ENTRY_SECONDS, spool
from mailgate.ops.scanner_check import scanners, signatures
from mailgate.ops.tls import certificate
from mailgate.settings import Listen
from mailgate.spool.clock_keeping import keep_clock
from mailgate.spool.clock_steps import ClockState, Reading
from mailgate.spool.schema import open_database
from tests.ops.conftest import Make

NOW = 1_800_000_000.0
DAY = 86_400.0


def well(name: str, signed_at: float | None) -> Health:
    return Health(name, "", Version("ClamAV 1.4.6", "27800" if signed_at else "", signed_at))


DOWN = Health("unix:/b", "no such socket", None)


def test_one_scanner_that_is_well_is_enough() -> None:
    assert scanners([well("unix:/a", NOW)]).status is Status.OK
    both = scanners([well("unix:/a", NOW), DOWN])
    assert (both.status, both.facts["down"]) == (Status.WARN, ["unix:/b"])
    none = scanners([DOWN])
    assert none.status is Status.FAIL
    assert "no such socket" in none.text
    assert "start clamd" in none.advice


def test_the_lines_that_a_scanner_lacks_are_told_once_each() -> None:
    lacking = (Fault("calls limits clean", ("AlertExceedsMax yes",)), Fault("both", ("A yes", "AlertExceedsMax yes")))
    bad = Health("unix:/a", "unix:/a: calls limits clean", None, lacking)
    found = scanners([bad])
    assert (found.status, found.facts["lines"]) == (Status.FAIL, ["AlertExceedsMax yes", "A yes"])
    assert "put into clamd.conf, then restart clamd: AlertExceedsMax yes; A yes" in found.advice
    assert found.text == "unix:/a: calls limits clean"
    assert "Until then mail is deferred" in found.advice
    partly = scanners([Health("unix:/a", "", Version("ClamAV 1.4.6"), lacking[:1])])
    assert (partly.status, partly.text) == (
        Status.WARN,
        "unix:/a: calls limits clean (clamd.conf: AlertExceedsMax yes)",
    )
    assert "put into clamd.conf" in partly.advice
    assert scanners([bad, well("unix:/b", NOW)]).status is Status.WARN


@pytest.mark.parametrize(
    ("signed_at", "status", "text"),
    [
        (NOW - 2 * DAY, Status.OK, "2.0 days old"),
        (NOW - 9 * DAY, Status.WARN, "9 days old"),
        (None, Status.WARN, "only local signatures"),
    ],
)
def test_signatures_age(signed_at: float | None, status: Status, text: str) -> None:
    found = signatures([well("unix:/a", signed_at)], NOW)
    assert found.status is status
    assert text in found.text


def test_the_oldest_signatures_count_and_those_of_a_dead_scanner_do_not() -> None:
    assert signatures([well("a", NOW), well("b", NOW - 8 * DAY)], NOW).status is Status.WARN
    assert signatures([well("a", NOW), DOWN], NOW).status is Status.OK
    assert signatures([DOWN], NOW).status is Status.WARN


def test_an_old_queue_is_told() -> None:
    fresh = spool({"states": {"queued": 3}, "oldest_queued": NOW - 60}, NOW)
    assert (fresh.status, fresh.facts["oldest_seconds"]) == (Status.OK, 60)
    assert spool({"states": {"queued": 3}, "oldest_queued": NOW - OLD_ENTRY_SECONDS - 1}, NOW).status is Status.WARN
    assert spool({"states": {}, "oldest_queued": None}, NOW).status is Status.OK


def test_processes_that_are_down_are_named() -> None:
    assert checks.processes({"store": True}).status is Status.OK
    found = checks.processes({"store": False, "edge-0": True})
    assert (found.status, found.facts["down"]) == (Status.FAIL, ["store"])


def test_a_folder_without_room_for_ten_messages_fails(tmp_path: Path) -> None:
    assert checks.disk(tmp_path, 65_536).facts["free_bytes"] > 0
    assert checks.disk(tmp_path, 1 << 60).status is Status.FAIL
    assert checks.disk(tmp_path / "missing", 65_536).status is Status.FAIL


@pytest.mark.parametrize(
    ("days", "status"), [(0, Status.OK), (380, Status.WARN), (397, Status.FAIL), (500, Status.FAIL)]
)
def test_the_certificate_is_watched(make_settings: Make, tmp_path: Path, days: int, status: Status) -> None:
    made = datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC)
    pair = certificate(make_settings(data_dir=tmp_path), made)
    settings = make_settings(tls_cert=pair.chain, tls_key=pair.key)
    assert doctor.certificate(settings, made + datetime.timedelta(days=days)).status is status


def test_wrong_permissions_are_listed(make_settings: Make) -> None:
    settings = make_settings()
    layout.prepare(settings)
    assert doctor.permissions(settings).status is Status.OK
    settings.run_dir.chmod(0o755)
    found = doctor.permissions(settings)
    assert found.status is Status.FAIL
    assert f"{settings.run_dir} is drwxr-xr-x" in found.text


def test_a_resolver_that_does_not_answer_is_a_warning() -> None:
    assert doctor.resolver("127.0.0.1:1").status is Status.WARN
    assert doctor.resolver("not an address").status is Status.WARN


def test_sqlite_with_the_checkpoint_bug_fails() -> None:
    assert doctor.sqlite("3.40.1").status is Status.FAIL
    assert doctor.sqlite("3.51.3").status is Status.OK
    assert doctor.sqlite("3.54.1").status is Status.OK


def test_a_port_of_a_gateway_that_does_not_run_must_be_free(make_settings: Make) -> None:
    assert all(check.status is Status.OK for check in doctor.listeners(make_settings()))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = make_settings(mx_listen=[Listen("127.0.0.1", taken.getsockname()[1])])
        [mx, *others] = doctor.listeners(settings)
    assert mx.status is Status.FAIL
    assert "MAILGATE_MX_LISTEN" in mx.advice
    assert all(check.status is Status.OK for check in others)


def test_a_clock_in_doubt_is_a_warning(make_settings: Make) -> None:
    settings = make_settings()
    layout.prepare(settings)
    assert doctor.clock(settings.data_dir).status is Status.OK
    with closing(open_database(settings.data_dir / "spool" / "spool.db")) as connection:
        keep_clock(connection, ClockState(Reading(2e9, 5.0, "boot", False), 2e9, 500_000.0))
    found = doctor.clock(settings.data_dir)
    assert found.status is Status.WARN
    assert "2033-05-18 03:33 UTC" in found.text
    assert "mailgate clock confirm" in found.advice
