"""Logs: one JSON line an event, no secrets, no local variables."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mailgate.records import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers), root.level, logging.getLogger("mail.log").level
    yield
    root.handlers[:], root.level = before[0], before[1]
    logging.getLogger("mail.log").setLevel(before[2])
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_names_its_process_time_and_facts() -> None:
    out = io.StringIO()
    log.configure("info", "edge-0", out)
    log.get("mailgate.edge").info("accepted", queue_id="0abc", size=12)
    [line] = lines(out)
    assert (line["event"], line["process"], line["queue_id"], line["size"]) == ("accepted", "edge-0", "0abc", 12)
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")
    assert line["pid"]


def test_the_standard_library_s_logger_writes_the_same_lines() -> None:
    out = io.StringIO()
    log.configure("info", "store", out)
    logging.getLogger("mailgate.spool").warning("swept %d orphans", 3, extra={"folder": "ab"})
    [line] = lines(out)
    assert (line["event"], line["folder"], line["level"]) == ("swept 3 orphans", "ab", "warning")


def test_lines_below_the_level_are_left_out() -> None:
    out = io.StringIO()
    log.configure("warning", "store", out)
    log.get("a").info("no")
    logging.getLogger("b").info("no")
    assert out.getvalue() == ""


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()])
@pytest.mark.parametrize("name", ["password", "subject", "body", "token", "secret"])
def test_what_a_name_promises_to_be_secret_is_withheld(out: io.StringIO, name: str) -> None:
    log.configure("debug", "edge-0", out)
    log.get("a").info("login", **{name: "hunter2"})
    logging.getLogger("b").info("login", extra={name: "hunter2"})
    assert "hunter2" not in out.getvalue()
    assert out.getvalue().count(log.WITHHELD) >= 2


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()])
def test_a_traceback_shows_no_local_variables(out: io.StringIO) -> None:
    log.configure("info", "edge-0", out)
    try:
        received = b"the text of a private letter"
        raise RuntimeError(len(received))
    except RuntimeError:
        log.get("a").exception("the session broke")
        logging.getLogger("b").exception("the session broke")
    assert out.getvalue().count("RuntimeError") >= 2
    assert "private" not in out.getvalue().replace('a private letter"', "")


def test_commands_that_the_smtp_library_logs_stay_out() -> None:
    out = io.StringIO()
    log.configure("debug", "edge-0", out)
    logging.getLogger("mail.log").info("AUTH PLAIN AGFsaWNlAGh1bnRlcjI=")
    assert out.getvalue() == ""


def test_values_that_json_does_not_know_are_written_as_text() -> None:
    out = io.StringIO()
    log.configure("info", "edge-0", out)
    log.get("a").info("odd", path=io.StringIO, numbers={1, 2})
    [line] = lines(out)
    assert "StringIO" in line["path"]
