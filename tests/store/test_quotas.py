"""Which recipients are refused because their mailboxes are full."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailgate.ipc.calls import Resolved
from mailgate.store.commands.on_directory import mailboxes, tenants
from mailgate.store.delivery.quotas import Quotas
from mailgate.tenancy.directory import Directory

BOB, TEAM = "bob@acme.example", "team@acme.example"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    opened = Directory(tmp_path)
    run = tenants.handlers(opened) | mailboxes.handlers(opened)
    run["tenant.add"](name="acme", domains=["acme.example"])
    for box in (BOB, TEAM):
        run["mailbox.add"](tenant="acme", address=box)
        (Path(run["mailbox.path"](mailbox=box)) / "new" / f"1,S={100 if box == BOB else 900}").touch()
    run["alias.add"](tenant="acme", address="all@acme.example", targets=[BOB, TEAM])
    yield opened
    opened.close()


def judged(directory: Directory, local: str, default: int | None, **own: int | None) -> Resolved:
    for box, quota in own.items():
        mailboxes.handlers(directory)["mailbox.quota"](mailbox=f"{box}@acme.example", quota=quota)
    with ThreadPoolExecutor(1) as thread:
        quotas = Quotas(directory, thread, lambda tenant: default)
        try:
            return asyncio.run(quotas.judge(directory.recipients.resolve(local, "acme.example")))
        finally:
            quotas.close()


@pytest.mark.parametrize(
    ("local", "default", "own", "kind", "is_limited"),
    [
        ("bob", None, {}, "mailbox", False),
        ("bob", 101, {}, "mailbox", True),
        ("bob", 100, {}, "full", True),
        ("bob", 100, {"bob": 101}, "mailbox", True),
        ("bob", 100, {"bob": 0}, "mailbox", False),
        ("bob", None, {"bob": 1}, "full", True),
        ("bob", 100, {"bob": None}, "full", True),
        ("all", 500, {}, "mailbox", True),
        ("all", 100, {}, "full", True),
        ("all", 100, {"team": 0}, "mailbox", True),
    ],
)
def test_who_is_full(
    directory: Directory, local: str, default: int | None, own: dict[str, int | None], kind: str, is_limited: bool
) -> None:
    found = judged(directory, local, default, **own)
    assert (found.kind, found.is_limited) == (kind, is_limited)
    assert found.mailboxes == directory.recipients.resolve(local, "acme.example").mailboxes
