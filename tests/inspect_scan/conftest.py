"""Scanners for these tests: small limits, on TCP as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.inspect_scan.small_clamd import SmallClamd
from tests.support.gateway import short_folder


@pytest.fixture(scope="session")
def small_clamd() -> Iterator[SmallClamd]:
    """One for all tests that do it no harm."""
    scanner = SmallClamd(short_folder("mg-scan-"))
    scanner.start()
    yield scanner
    scanner.remove()


@pytest.fixture
def mortal_clamd() -> Iterator[SmallClamd]:
    """Not started yet; for tests that stop, reload or starve it."""
    scanner = SmallClamd(short_folder("mg-scan-"))
    yield scanner
    scanner.remove()
