"""The master key file and the keys that it wraps."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases.ids import KeyId, TenantId
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.keys import KEY_BYTES, MasterKey, make_master_key, read_master_key

ACME, BCME, KEY = TenantId("acme"), TenantId("bcme"), KeyId("key")


def test_a_wrapped_key_comes_back() -> None:
    master, secret = MasterKey(b"m" * KEY_BYTES), b"s" * KEY_BYTES
    wrapped = master.wrap(ACME, KEY, secret)
    assert secret not in wrapped
    assert master.unwrap(ACME, KEY, wrapped) == secret
    assert master.wrap(ACME, KEY, secret) != wrapped


@pytest.mark.parametrize(
    ("tenant", "key", "secret"), [(BCME, KEY, b"m"), (ACME, KeyId("other"), b"m"), (ACME, KEY, b"n")]
)
def test_it_opens_for_its_tenant_id_and_master_key_only(tenant: TenantId, key: KeyId, secret: bytes) -> None:
    wrapped = MasterKey(b"m" * KEY_BYTES).wrap(ACME, KEY, b"s" * KEY_BYTES)
    with pytest.raises(UnavailableError, match="does not open"):
        MasterKey(secret * KEY_BYTES).unwrap(tenant, key, wrapped)


@pytest.mark.parametrize("wrapped", [b"", b"short", b"x" * 60])
def test_damage_is_noticed(wrapped: bytes) -> None:
    with pytest.raises(UnavailableError, match="does not open"):
        MasterKey(b"m" * KEY_BYTES).unwrap(ACME, KEY, wrapped)


def test_the_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    made = make_master_key(tmp_path / "master.key")
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert read_master_key(tmp_path / "master.key") == made
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_a_key_does_not_show_itself() -> None:
    master = MasterKey(b"m" * KEY_BYTES)
    assert "mmmm" not in f"{master!r}{master!s}"


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(b"short"), b"m" * KEY_BYTES])
def test_what_is_wrong_with_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(UnavailableError, match=r"/k: a master key is 32 octets in base64"):
        read_master_key(tmp_path / "k")


def test_a_given_file_must_exist(tmp_path: Path) -> None:
    directory = Directory(tmp_path, master_key_file=tmp_path / "absent")
    with pytest.raises(UnavailableError, match=r"absent: the master key can't be read: No such file"):
        directory.life.add("acme", [])
    directory.close()


def test_each_tenant_has_a_key_of_its_own(directory: Directory) -> None:
    first, second = directory.life.add("acme", []), directory.life.add("bcme", [])
    assert first.key_id != second.key_id
    assert directory.content_key("acme") != directory.content_key("bcme")
    assert len(directory.content_key("acme")) == KEY_BYTES


def test_a_lost_master_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.life.add("acme", [])
    directory.close()
    (tmp_path / "master.key").unlink()
    directory = Directory(tmp_path)
    with pytest.raises(UnavailableError, match="can't be read"):
        directory.life.add("bcme", [])
    assert not (tmp_path / "master.key").exists()
    make_master_key(tmp_path / "master.key")
    with pytest.raises(UnavailableError, match="put that one in its place"):
        directory.life.add("bcme", [])
    assert [tenant.name for tenant in directory.tenants] == ["acme"]
    directory.close()
