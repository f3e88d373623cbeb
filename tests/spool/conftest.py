from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.spool.listing import Listing
from mailgate.spool.sqlite import SqliteSpool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[SqliteSpool]:
    """Retries without jitter."""
    made = SqliteSpool(tmp_path / "spool" / "spool.db", chance=lambda: 0.5)
    yield made
    made.close()


@pytest.fixture
def listing(spool: SqliteSpool) -> Iterator[Listing]:
    made = Listing(spool.path)
    yield made
    made.close()
