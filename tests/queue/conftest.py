from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.settings import Settings
from tests.spool.making import NOW
from tests.store.running import add_people
from tests.support.clock import ManualClock
from tests.support.components import REPOSITORY


@pytest.fixture
def acme(tmp_path: Path) -> Settings:
    """A data directory with tenant acme and bob@acme.example."""
    made = Settings(data_dir=tmp_path / "data", policy_dir=REPOSITORY / "policies", hostname="mx.gateway.example")
    made.run_dir.mkdir(parents=True)
    made.staging_dir.mkdir(parents=True)
    add_people(made)
    return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)
