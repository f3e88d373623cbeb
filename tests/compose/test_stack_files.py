"""What the files of the local stack must say; compose/test_stack.py tries the stack itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mailgate.policy import loader
from mailgate.settings import Settings
from tests.support.components import REPOSITORY

COMPOSE = REPOSITORY / "docker-compose.yml"
FOLDER = REPOSITORY / "compose"
DOCKERFILES = sorted(FOLDER.glob("**/Dockerfile"))
BASES = {"debian:bookworm-slim", "python:3.13-slim-bookworm"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_are_made_of_the_two_bases_by_any_builder(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= BASES
    assert not re.search(r"<<|^# syntax=|--chmod|--mount", text, re.MULTILINE), "needs a newer builder"


def test_an_image_that_runs_has_an_account_that_is_not_root() -> None:
    for dockerfile in DOCKERFILES:
        if "bases" not in dockerfile.parts:
            assert re.search(r"^USER [1-9]\d{4}:[1-9]\d{4}$", dockerfile.read_text(), re.MULTILINE), dockerfile


def test_compose_asks_for_nothing_that_old_engines_lack() -> None:
    text = COMPOSE.read_text()
    assert "start_interval" not in text
    assert not re.search(r"privileged: true|cap_add|network_mode: host|docker\.sock", text)


def test_the_settings_in_compose_exist() -> None:
    named = set(re.findall(r"MAILGATE_([A-Z_]+):", COMPOSE.read_text()))
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}


def test_sieve_is_switched_on_by_the_socket_that_dovecot_makes() -> None:
    added = yaml.safe_load((FOLDER / "sieve.yml").read_text())["services"]
    base = yaml.safe_load(COMPOSE.read_text())["services"]
    assert added.keys() <= base.keys()
    socket = added["gateway"]["environment"]["MAILGATE_LMTP_SOCKET"]
    configuration = (FOLDER / "dovecot" / "dovecot.conf").read_text()
    assert f"unix_listener {socket} {{" in configuration
    assert all(any(each.startswith("logins:/run/logins") for each in base[name]["volumes"]) for name in added)
    (port,) = added["dovecot"]["ports"]
    assert f"port = {port.rpartition(':')[2]}\n" in configuration


def test_the_policy_of_the_stack_is_valid_and_sends_all_mail_to_the_sink() -> None:
    [route] = loader.load(FOLDER / "policies", 52_428_800).gateway.routes
    assert (route.domains, str(route.smarthost)) == (("*",), "sink.stack:2525")


def test_scripts_that_images_start_may_be_executed() -> None:
    for name in ("clamav/start-clamd", "clamav/scanner-finds-its-test-file", "dovecot/start-dovecot"):
        assert (FOLDER / name).stat().st_mode & 0o111 == 0o111, name
