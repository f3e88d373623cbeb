"""Settings for a gateway that never meets another one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailgate.settings import Listen, Settings

ANY_PORT = [Listen("127.0.0.1", 0)]
POLICIES = Path(__file__).parents[2] / "policies"

Make = Callable[..., Settings]


@pytest.fixture
def make_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Builds settings in a folder with a short path (Unix sockets need one), every listener on a free port."""
    root = Path(tempfile.mkdtemp(prefix="mg-ops-", dir="/tmp"))
    monkeypatch.chdir(root)

    def make(**changes: Any) -> Settings:
        chosen: dict[str, Any] = {
            "data_dir": root / "data",
            "policy_dir": POLICIES,
            "hostname": "mx.gateway.example",
            "mx_listen": ANY_PORT,
            "submission_listen": ANY_PORT,
            "submissions_listen": ANY_PORT,
            "metrics_listen": ANY_PORT,
            "sts_listen": ANY_PORT,
            "clamd": [f"unix:{root}/no-clamd"],
            "inspectors": 2,
        }
        return Settings(**(chosen | changes))

    yield make
    shutil.rmtree(root)
