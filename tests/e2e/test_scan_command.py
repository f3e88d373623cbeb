"""`mailgate scan`: the same parts, verdicts and decision as in the gateway, without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.gateway import Gateway

pytestmark = pytest.mark.component("clamd")


@pytest.mark.parametrize(
    ("content", "name", "code", "action"),
    [
        (b"%PDF-1.4 honest", "report.pdf", 0, "accept"),
        (b"MZ" + bytes(80), "report.pdf", 1, "reject"),
        (messages.EICAR, "report.pdf", 1, "reject"),
    ],
)
def test_what_would_happen(
    new_gateway: Callable[..., Gateway], clamd: Clamd, tmp_path: Path, content: bytes, name: str, code: int, action: str
) -> None:
    file = tmp_path / "message.eml"
    file.write_bytes(messages.with_attachment(messages.token(), content, name))
    done = new_gateway(clamd.endpoint).run("scan", str(file), "--json")
    assert done.returncode == code, done.stderr
    told = json.loads(done.stdout)
    assert told["decision"]["action"] == action
    assert [part["place"] for part in told["inspection"]["parts"]][:2] == ["1", "2"]


def test_line_ends_of_a_stored_message_do_not_matter(
    new_gateway: Callable[..., Gateway], clamd: Clamd, tmp_path: Path
) -> None:
    file = tmp_path / "message.eml"
    file.write_bytes(messages.with_attachment(messages.token(), b"%PDF-1.4 honest").replace(b"\r\n", b"\n"))
    done = new_gateway(clamd.endpoint).run("scan", str(file))
    assert done.returncode == 0, done.stderr
    assert "report.pdf" in done.stdout


def test_no_scanner_and_no_file(new_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    file = tmp_path / "message.eml"
    file.write_bytes(messages.clean(messages.token()))
    gateway = new_gateway(f"unix:{tmp_path}/none")
    assert gateway.run("scan", str(file)).returncode == 3
    missing = gateway.run("scan", str(tmp_path / "missing.eml"))
    assert missing.returncode == 2
    assert "missing.eml" in missing.stderr
