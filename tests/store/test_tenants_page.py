"""The first chapter of docs/tenants.md, command by command, against a running store."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from mailgate.cli import connection, main
from mailgate.settings import Settings
from mailgate.store.commands.on_directory.roster_file import read_tables
from mailgate.store.process import StoreProcess
from tests.store.running import PASSWORD, listen
from tests.support.components import REPOSITORY

PAGE = (REPOSITORY / "docs" / "tenants.md").read_text()
CHAPTER = PAGE[: PAGE.index("\n## People\n")]
COMMANDS = re.findall(r"^    (\S.*)$", CHAPTER, re.MULTILINE)


@pytest.fixture
def served(settings: Settings) -> Iterator[Settings]:
    """A store in a thread of its own."""
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    process = StoreProcess(settings, listen(settings.store_path), listen(settings.admin_path))
    thread = threading.Thread(target=lambda: loop.run_until_complete(process.run(ready.set, stop)))
    thread.start()
    assert ready.wait(30)
    yield settings
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()


class Terminal:
    """Somebody who types the commands of the page in a folder, and answers what they ask."""

    def __init__(self, folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._data_dir = settings.data_dir
        self._monkeypatch = monkeypatch
        (folder / "password").write_text(PASSWORD)
        (folder / "people.csv").write_text(re.findall(r"```csv\n(.*?)```", CHAPTER, re.DOTALL)[0])
        monkeypatch.chdir(folder)
        monkeypatch.setenv("MAILGATE_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("MAILGATE_POLICY_DIR", str(settings.policy_dir))
        monkeypatch.setenv("MAILGATE_PASSWORD_FILE", str(folder / "password"))

    def type(self, line: str) -> str:
        words = shlex.split(line)
        if words[0] == "export":
            self._monkeypatch.setenv(*words[1].split("="))
            return ""
        if words[0] == "ssh-keygen":
            self._make_key(words[-1])
            return ""
        assert words[0] == "mailgate", line
        if "breakglass confirm" in line:
            self._a_week_passes()
        words, redirected = (words[1:-2], words[-1]) if words[-2] == ">" else (words[1:], "")
        done = self._run(self._answered([self._id(words) if word == "ID" else word for word in words]))
        assert done.exit_code == 0, f"{line}: {done.output} {done.exception}"
        if redirected:
            (self._folder / redirected).write_text(done.stdout)
        return done.stdout

    def _run(self, words: list[str]) -> Result:
        self._monkeypatch.setattr(connection, "_acting_as", "")
        return CliRunner().invoke(main.app, words, input=PASSWORD + "\n")

    def _answered(self, words: list[str]) -> list[str]:
        """What a terminal asks for, given at once."""
        text = " ".join(words)
        if re.search(r"user (add|passwd)", text):
            return [*words, "--password-stdin"]
        if "tenant remove" in text:
            return [*words, "--confirm", words[-1]]
        return [*words, "--yes"] if "directory apply" in text else words

    def _id(self, words: list[str]) -> str:
        if "apppassword" in words:
            listed = ["apppassword", "list", words[2]]
        else:
            listed = [*words[:2], "breakglass", "list"]
        found: str = json.loads(self._run([*listed, "--json"]).stdout)[0]["id"]
        return found

    def _a_week_passes(self) -> None:
        """For who became an administrator a moment ago."""
        for database in (self._data_dir / "tenants").glob("*/*.db"):
            with sqlite3.connect(database, timeout=30) as connection:
                connection.execute("UPDATE users SET role_since = role_since - 7 * 86400")

    def _make_key(self, name: str) -> None:
        key = Ed25519PrivateKey.generate()
        openssh = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        (self._folder / name).write_bytes(key.private_bytes(serialization.Encoding.PEM, *openssh))
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (self._folder / f"{name}.pub").write_bytes(public)


def test_every_command_does_what_the_page_says(
    tmp_path: Path, served: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(tmp_path, served, monkeypatch)
    told = {line: terminal.type(line) for line in COMMANDS}
    assert len(told) > 40
    assert "alice@acme.example" in told["mailgate --as alice@acme.example user list acme"]
    assert (
        "line 3: kim@acme.example: added, without a password" in told["mailgate user import people.csv --tenant acme"]
    )
    assert "nothing to do" in told["mailgate directory apply acme.toml --tenant acme"]
    assert "tenant.remove" in told["mailgate audit list"]
    assert not list((served.data_dir / "tenants").iterdir())


def test_the_file_on_the_page_is_one() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", CHAPTER, re.DOTALL)
    tables, _ = read_tables(example, "page")
    assert (len(tables.users), len(tables.groups), len(tables.mailboxes), len(tables.aliases)) == (1, 1, 1, 1)
