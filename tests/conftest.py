"""Fixtures and marks that every folder of tests shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import components
from tests.support.clamd import Clamd
from tests.support.gateway import Gateway, short_folder

# In CI the same examples every time: what is new is found while developing, not while landing.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """No binary data in the names of tests: archives hold the time, so that workers would not agree on a name."""
    text = val.translate(None, b"\r\n\t") if isinstance(val, bytes) else b""
    return None if text.isascii() and text.decode("ascii").isprintable() else argname


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`component(name, ...)`: skip where one is missing, fail where MAILGATE_REQUIRE_COMPONENTS=1 asks for all that the
    set-up can install."""
    wanted = sorted({name for mark in item.iter_markers("component") for name in mark.args})
    reasons = {name: reason for name in wanted if (reason := components.missing(name))}
    if components.required() and reasons.keys() - {components.PUBLISHED_CASES}:
        pytest.fail("; ".join(reasons.values()), pytrace=False)
    if reasons:
        pytest.skip("; ".join(reasons.values()))


@pytest.fixture(scope="session")
def clamd() -> Iterator[Clamd]:
    """A running scanner for all tests of a worker; tests that stop it take `own_clamd`."""
    scanner = Clamd(short_folder("mg-clamd-"))
    scanner.start()
    yield scanner
    scanner.remove()


@pytest.fixture
def own_clamd() -> Iterator[Clamd]:
    """A scanner, not started yet, that the test may stop."""
    scanner = Clamd(short_folder("mg-clamd-"))
    yield scanner
    scanner.remove()


@pytest.fixture(scope="session")
def people() -> Iterator[Path]:
    """A data directory with the tenants of `tests.support.gateway.TENANTS`, made by the real command line."""
    made = Gateway(short_folder("mg-people-"), "unix:/nonexistent")
    made.add_people()
    yield made.data_dir
    made.remove()


Build = Callable[..., Gateway]


@pytest.fixture
def new_gateway(people: Path) -> Iterator[Build]:
    """Builds gateways (not started) with tenants and users: `new_gateway(clamd_endpoint, WORKERS="0")`."""
    built: list[Gateway] = []

    def build(clamd: str, **settings: str) -> Gateway:
        gateway = Gateway(short_folder("mg-"), clamd, **settings)
        shutil.copytree(people, gateway.data_dir)
        built.append(gateway)
        return gateway

    yield build
    for gateway in built:
        gateway.remove()


@pytest.fixture(scope="session")
def gateway(clamd: Clamd, people: Path) -> Iterator[Gateway]:
    """A running gateway for all tests of a worker that change nothing of it."""
    shared = Gateway(short_folder("mg-"), clamd.endpoint)
    shutil.copytree(people, shared.data_dir)
    shared.start()
    yield shared
    try:
        shared.stop()
    finally:
        shared.remove()
