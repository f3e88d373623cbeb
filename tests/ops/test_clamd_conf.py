"""What doctor reads in clamd's own configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.clamd import client
from mailgate.inspect.scanners import ScannerPool
from mailgate.ops.checks import Check, Status
from mailgate.ops.clamd_conf import configuration_of, judged, limits, parsed
from scripts import demo_clamd
from tests.support.clamd import Clamd
from tests.support.components import REPOSITORY
from tests.support.gateway import short_folder

LARGEST = 52_428_800
SHIPPED = (REPOSITORY / "packaging/clamd/clamd.conf").read_text()
COMPOSE = (REPOSITORY / "compose/clamav/clamd.conf").read_text()


def check(text: str) -> Check:
    return judged("unix:/a", Path("/etc/clamav/clamd.conf"), parsed(text), LARGEST)


@pytest.mark.parametrize("text", [SHIPPED, COMPOSE, demo_clamd.CONFIG + demo_clamd.RELIED_ON.read_text()])
def test_what_is_shipped_lets_nothing_pass(text: str) -> None:
    assert check(text).status is Status.OK


@pytest.mark.parametrize(
    ("line", "status", "wanted"),
    [
        ("AlertExceedsMax no", Status.FAIL, "AlertExceedsMax yes"),
        ("AlertOLE2Macros yes", Status.WARN, "AlertOLE2Macros no"),
        ("HeuristicScanPrecedence 1", Status.FAIL, "HeuristicScanPrecedence no"),
        ("MaxFileSize 25M", Status.FAIL, "MaxFileSize 400M"),
        ("ScanPE no", Status.FAIL, "ScanPE yes"),
        ("ScanOneNote no", Status.FAIL, "ScanOneNote yes"),
        ("MaxScriptNormalize 5M", Status.WARN, "MaxScriptNormalize 50M"),
        ("PCREMaxFileSize 26214400", Status.WARN, "PCREMaxFileSize 50M"),
        ("StreamMaxLength 25000k", Status.WARN, "StreamMaxLength 50M"),
    ],
)
def test_a_line_that_lets_something_pass_is_named_with_the_right_one(line: str, status: Status, wanted: str) -> None:
    found = check(f"{SHIPPED}\n{line}\n")
    assert (found.status, found.facts["lines"]) == (status, [wanted])
    assert line.split(" ")[0] in found.text
    assert wanted in found.advice


def test_archives_with_passwords_are_told_by_either_option() -> None:
    assert check(f"{SHIPPED}\nAlertEncryptedArchive no\n").status is Status.OK
    assert check(f"{SHIPPED}\nAlertEncryptedArchive no\nAlertEncrypted no\n").status is Status.FAIL


def test_the_stack_has_every_line_that_is_shipped() -> None:
    shipped = {name: values for name, values in parsed(SHIPPED).items()}
    assert {name: values for name, values in parsed(COMPOSE).items() if name in shipped} == shipped


def test_an_empty_configuration_is_clamds_defaults() -> None:
    lines = check("").facts["lines"]
    assert {"AlertExceedsMax yes", "AlertEncryptedArchive yes", "MaxFileSize 400M", "MaxHTMLNoTags 50M"} <= set(lines)
    assert not [line for line in lines if line.startswith("Scan")]


def test_no_limit_is_two_gigabytes() -> None:
    assert check(f"{SHIPPED}\nMaxFileSize 0\nMaxScanSize 0\n").status is Status.OK


@given(st.text(max_size=300))
def test_any_configuration_is_read(text: str) -> None:
    assert check(text).name == "scanner limits"


@pytest.mark.component("clamd")
@pytest.mark.parametrize("source", ["packaging/clamd/clamd.conf", "compose/clamav/clamd.conf"])
def test_a_clamd_with_what_is_shipped_proves_itself(source: str) -> None:
    """With its whole configuration, but for where things lie."""
    places = ("DatabaseDirectory", "TemporaryDirectory", "LocalSocket", "LogSyslog", "Foreground")
    clamd = Clamd(short_folder("mg-ship-"))
    lines = [line for line in (REPOSITORY / source).read_text().splitlines() if not line.startswith(places)]
    named = {line.split(" ")[0] for line in lines if line and not line.startswith("#")}
    config = clamd.root / "clamd.conf"
    kept = [line for line in config.read_text().splitlines() if line.split(" ")[0] not in named]
    config.write_text("\n".join((*kept, *lines)) + "\n")
    try:
        clamd.start()
        (health,) = ScannerPool([client(clamd.endpoint)]).health(float("inf"))
        assert (health.trouble, health.faults) == ("", ())
        assert configuration_of(clamd.endpoint) == config
        assert [found.status for found in limits([clamd.endpoint, "tcp:192.0.2.1:3310"], LARGEST)] == [Status.OK]
    finally:
        clamd.remove()
