"""A directory in a temporary folder, and hashing that is counted and cheap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from mailgate.ipc.calls import Authenticated
from mailgate.policy.schema import GatewayPolicy, built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.store.commands.catalogue import on_directory
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins import passwords
from tests.support.clock import ManualClock

PASSWORD = "correct-horse-7"
BUILT_IN = Snapshot(built_in=built_in(1 << 20), gateway=GatewayPolicy(), tenants={})


class Commands:
    """The administrative commands as the command line calls them: `run("user.add", tenant=..., ...)`."""

    def __init__(self, directory: Directory) -> None:
        self._handlers: dict[str, Callable[..., Any]] = on_directory(directory, lambda: BUILT_IN)

    def __call__(self, command: str, **arguments: Any) -> Any:
        return self._handlers[command](**arguments)

    @property
    def names(self) -> set[str]:
        return set(self._handlers)


def authenticate(directory: Directory, login: str, password: bytes) -> Authenticated:
    """What the login is worth for SMTP, whatever its age and the back-off."""
    return AccountBook(directory).account(login).check(password, "smtp", 0.0, 0).granted


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def directory(tmp_path: Path, clock: ManualClock, cheap_hashes: None) -> Iterator[Directory]:
    opened = Directory(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def run(directory: Directory) -> Commands:
    return Commands(directory)


@pytest.fixture
def two_tenants(run: Commands) -> Commands:
    """acme with bob, alice, the shared mailbox team and the group staff; bcme with eve and the alias sales."""
    run("tenant.add", name="acme", domains=["acme.example"])
    run("tenant.add", name="bcme", domains=["bcme.example"])
    for tenant, login in (("acme", "bob"), ("acme", "alice"), ("bcme", "eve")):
        run("user.add", tenant=tenant, login=f"{login}@{tenant}.example", password=PASSWORD)
    run("mailbox.add", tenant="acme", address="team@acme.example", users=["bob@acme.example"])
    run("group.add", tenant="acme", name="staff", users=["alice@acme.example"])
    run("alias.add", tenant="bcme", address="sales@bcme.example", targets=["eve@bcme.example"])
    return run
