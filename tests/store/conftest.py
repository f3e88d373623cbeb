from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.settings import Settings
from mailgate.store.keeping.opening import OpenSpool, open_spool
from mailgate.store.keeping.writer import Writer
from tests.support.components import REPOSITORY


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path / "data", policy_dir=REPOSITORY / "policies", hostname="mx.gateway.example")
    made.run_dir.mkdir(parents=True)
    made.staging_dir.mkdir(parents=True)
    return made


@pytest.fixture
def opened(settings: Settings) -> Iterator[OpenSpool]:
    spool = open_spool(settings)
    yield spool
    spool.close()


@pytest.fixture
def writer(opened: OpenSpool) -> Iterator[Writer]:
    made = Writer(opened.store)
    made.start()
    yield made
    made.stop()
