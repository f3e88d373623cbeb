"""A gateway that has worked, looked at by another account of the machine; and what was erased, in its raw files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import PASSWORD, Gateway

pytestmark = [pytest.mark.component("clamd"), pytest.mark.component("root")]

BOB = "bob@acme.example"
Build = Callable[..., Gateway]


def readable_for_nobody(folder: Path) -> str:
    """All that the account of the inspectors can read below `folder`, though it knew where to look."""
    code = (
        "import os, sys\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "for path in sys.stdin.read().splitlines():\n"
        "    if os.access(path, os.R_OK) or os.access(path, os.W_OK): print(path)\n"
    )
    known = "\n".join(str(path) for path in (folder, *folder.rglob("*")))
    return subprocess.run(["python3", "-c", code], input=known, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o711])
def test_another_account_reads_nothing(new_gateway: Build, clamd: Clamd, mode: int) -> None:
    """The folder was there before, and open, as administrators and volumes make it."""
    old = os.umask(0)
    gateway: Gateway = new_gateway(clamd.endpoint)
    try:
        gateway.data_dir.mkdir(exist_ok=True)
        gateway.data_dir.chmod(mode)
        for path in gateway.data_dir.rglob("*"):
            path.chmod(0o777 if path.is_dir() else 0o666)  # as an earlier version, or a careless copy, left them
        gateway.start()
    finally:
        os.umask(old)
    for size in (1_000, 200_000):
        name = messages.token()
        assert gateway.deliver(messages.of_size(name, size), BOB).code == 250
        gateway.delivered(BOB, name)
    gateway.cli("reload")
    assert readable_for_nobody(gateway.data_dir) == ""
    gateway.stop()
    assert readable_for_nobody(gateway.data_dir) == ""


def test_what_was_erased_is_in_no_file(new_gateway: Build, clamd: Clamd) -> None:
    gateway: Gateway = new_gateway(clamd.endpoint)
    gateway.start()
    gateway.cli("user", "add", "acme", "leaver@acme.example", "--password-stdin", input=PASSWORD + "\n")
    secrets = [f"secret-of-the-leaver-{n}" for n in range(3)]
    for secret, size in zip(secrets, (100, 5_000, 50_000), strict=True):
        name = messages.token()
        assert gateway.deliver(messages.clean(name, f"{secret}\r\n" * (size // 24)), "leaver@acme.example").code == 250
        gateway.delivered("leaver@acme.example", name)
    gateway.cli("mailbox", "disable", "leaver@acme.example")
    gateway.cli("mailbox", "remove", "leaver@acme.example", "--with-mail", "--confirm", "leaver@acme.example")

    def left() -> list[str]:
        files = [path for path in gateway.data_dir.rglob("*") if path.is_file()]
        return [str(path) for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)]

    eventually(lambda: not left(), "no file with what was erased")
    gateway.stop()
    assert left() == []
