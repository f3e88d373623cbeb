"""The published snapshot: the same in every process, the same version for the same content."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailgate.policy.explain import document
from mailgate.policy.loader import load
from mailgate.policy.snapshot import Snapshot, SnapshotError
from tests.policy.making import MIB, SIZE_LIMIT, snapshot, write

GATEWAY = (
    '[limits]\nparts = 10\n[defects]\nbom = "reject"\n[[attachments]]\nname = "a"\naction = "reject"\nclass = "macro"'
)
TENANT = '[limits]\nparts = 9\n[[attachments]]\nname = "b"\naction = "accept"\nlarger_than = "1 MiB"\nsender = ""'


def test_round_trip() -> None:
    published = snapshot(GATEWAY, acme=TENANT)
    received = Snapshot.decode(published.encode())
    assert received.encode() == published.encode()
    assert received.version == published.version
    for tenant in ("acme", "unknown"):
        assert document(received.for_tenant(tenant)) == document(published.for_tenant(tenant))


def test_version_is_short_and_in_every_policy() -> None:
    published = snapshot(GATEWAY, acme=TENANT)
    assert re.fullmatch("[0-9a-f]{12}", published.version)
    assert published.for_tenant("acme").version == published.for_gateway.version == published.version


def test_comments_and_order_of_keys_do_not_change_the_version(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = load(write(tmp_path / "one", "[limits]\nparts = 1\ndepth = 2", a="", b=""), SIZE_LIMIT)
    two = load(write(tmp_path / "two", "# text\n[limits]\ndepth = 2 # text\nparts = 1", b="", a=""), SIZE_LIMIT)
    assert one.version == two.version


@pytest.mark.parametrize(
    "other",
    [
        snapshot(GATEWAY.replace("10", "11"), acme=TENANT),
        snapshot(GATEWAY, acme=TENANT.replace("9", "8")),
        snapshot(GATEWAY, beta=TENANT),
        snapshot(GATEWAY),
        snapshot(GATEWAY.replace("macro", "script"), acme=TENANT),
    ],
)
def test_each_change_has_its_version(other: Snapshot) -> None:
    assert other.version != snapshot(GATEWAY, acme=TENANT).version


def test_setting_is_part_of_the_content(tmp_path: Path) -> None:
    folder = write(tmp_path, "")
    assert load(folder, MIB).version != load(folder, 2 * MIB).version


def test_old_snapshot_keeps_its_built_in_values() -> None:
    """A release with other defaults must not change what an old version meant."""
    content = json.loads(snapshot().encode())
    content["built_in"]["limits"]["received_hops"] = 33
    received = Snapshot.decode(json.dumps(content).encode())
    assert received.for_tenant("acme").limits.received_hops == 33


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b"[]", b'{"format": 2}', snapshot().encode()[:-1], b"[" * 100_000]
)
def test_unreadable(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        Snapshot.decode(data)


@pytest.mark.parametrize("change", [{"format": 2}, {"more": 1}, {"gateway": {"unknown": 1}}])
def test_content_of_another_release_is_refused(change: dict[str, object]) -> None:
    content = json.loads(snapshot().encode()) | change
    with pytest.raises(SnapshotError):
        Snapshot.decode(json.dumps(content).encode())


def test_immutable() -> None:
    published = snapshot(GATEWAY)
    with pytest.raises(ValidationError):
        published.gateway = published.built_in
    with pytest.raises(ValidationError):
        published.for_gateway.limits.parts = 5
    with pytest.raises(TypeError):
        published.for_gateway.defects["bom"] = None  # type: ignore[index]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_snapshot_or_an_error(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        Snapshot.decode(data)
