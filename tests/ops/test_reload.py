"""`mailgate reload` says that certificates are read again only where they are."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from mailgate.cli import reload
from mailgate.settings import Settings
from tests.support.certificates import Authority


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(reload.os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(reload.layout, "holder", lambda data_dir: 4711)
    return sent


def test_good_ones(tmp_path: Path, signals: list[tuple[int, int]]) -> None:
    issued = Authority(tmp_path).issue("mx.acme.example")
    settings = Settings(data_dir=tmp_path, tls_cert=issued.chain, tls_key=issued.key)
    assert reload._certificates(settings) == ""
    assert signals == [(4711, signal.SIGHUP)]


def test_broken_ones(tmp_path: Path, signals: list[tuple[int, int]]) -> None:
    issued = Authority(tmp_path).issue("mx.acme.example")
    settings = Settings(data_dir=tmp_path, tls_cert=issued.chain, tls_key=issued.key)
    issued.chain.write_text("nonsense")
    assert "MAILGATE_TLS_CERT" in reload._certificates(settings)
    assert signals == []


def test_a_gateway_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload.layout, "holder", lambda data_dir: None)
    assert "not known here" in reload._certificates(Settings(data_dir=tmp_path))
