"""`mailgate doctor` names those whose postmaster nobody is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailgate.ops.checks import Status
from mailgate.ops.postmaster_check import postmasters
from mailgate.settings import Settings
from mailgate.store.commands import offline

Run = Callable[..., Any]
SIZE = 50 << 20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "policies" / "tenants").mkdir(parents=True)
    made = Settings(data_dir=tmp_path / "data", policy_dir=tmp_path / "policies", hostname="mx.gateway.example")
    made.data_dir.mkdir()
    offline.run_alone(made, "tenant.add", {"name": "acme", "domains": ["acme.example"]})
    return made


def found(settings: Settings, gateway: str = "") -> list[tuple[Status, str]]:
    (settings.policy_dir / "gateway.toml").write_text(gateway)
    return [(check.status, check.text) for check in postmasters(settings.data_dir, settings.policy_dir, SIZE)]


def test_nobody_is_named(settings: Settings) -> None:
    (gateway, tenants) = found(settings)
    assert gateway[0] is Status.WARN and "postmaster (0 messages)" in gateway[1]
    assert tenants[0] is Status.WARN and tenants[1].endswith(": acme")


def test_the_operator_is_named_by_an_address_here(settings: Settings) -> None:
    named = '[postmaster]\noperator = "noc@%s"\n'
    assert found(settings, named % "far.example")[0][0] is Status.WARN
    assert found(settings, named % "acme.example")[0][0] is Status.OK
    (settings.data_dir / "postmaster" / "new").mkdir(parents=True)
    (settings.data_dir / "postmaster" / "new" / "1").touch()
    assert "1 messages from before" in found(settings, named % "acme.example")[0][1]


@pytest.mark.parametrize("how", ["administrator", "addresses", "policy"])
def test_a_tenant_has_somebody(settings: Settings, how: str) -> None:
    user = {"tenant": "acme", "login": "bob@acme.example", "password": "correct horse battery staple"}
    offline.run_alone(settings, "user.add", user)
    assert found(settings)[1][0] is Status.WARN, "a user is not asked"
    if how == "administrator":
        offline.run_alone(settings, "user.role", {"login": "bob@acme.example", "role": "administrator"})
    elif how == "addresses":
        for local in ("postmaster", "abuse"):
            alias = {"tenant": "acme", "address": f"{local}@acme.example", "targets": ["bob@acme.example"]}
            offline.run_alone(settings, "alias.add", alias)
    else:
        (settings.policy_dir / "tenants" / "acme.toml").write_text('[postmaster]\naddress = "it@far.example"\n')
    assert found(settings)[1][0] is Status.OK


def test_before_the_first_start_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert postmasters(tmp_path / "data", tmp_path, SIZE) == []
