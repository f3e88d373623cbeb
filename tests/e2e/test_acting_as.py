"""The command line of users and operators on a running gateway, one of whose tenants has a damaged database."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import PASSWORD, Gateway, short_folder
from tests.support.smtp import SmtpClient

ALICE = "alice@acme.example"


@pytest.fixture(scope="module")
def gateway(people: Path) -> Iterator[Gateway]:
    """globex can't be read. No scanner: nothing here sends mail."""
    made = Gateway(short_folder("mg-as-"), "unix:/nonexistent")
    shutil.copytree(people, made.data_dir)
    made.cli("user", "role", ALICE, "administrator")
    damaged = made.data_dir / "tenants" / made.json("tenant", "show", "globex")["id"] / "tenant.db"
    for path in damaged.parent.glob("tenant.db*"):
        path.unlink()
    damaged.write_bytes(b"no database" * 1000)
    (made.root / "password").write_text(PASSWORD + "\n")
    made.environment["MAILGATE_PASSWORD_FILE"] = str(made.root / "password")
    made.start()
    yield made
    made.remove()


def test_a_user_and_an_administrator_see_their_tenant_only(gateway: Gateway) -> None:
    assert gateway.cli("--as", ALICE, "tenant", "list").split("\t")[0] == "acme"
    other = gateway.run("--as", ALICE, "tenant", "show", "globex")
    absent = gateway.run("--as", ALICE, "tenant", "show", "nobody")
    assert (other.returncode, other.stdout) == (absent.returncode, absent.stdout) == (1, "")
    assert other.stderr == absent.stderr.replace("nobody", "globex")
    refused = gateway.run("--as", "bob@acme.example", "tenant", "list")
    assert (refused.returncode, refused.stderr.strip()) == (2, "mailgate: there is no command 'tenant.list'")


def test_a_damaged_tenant_is_told_and_the_others_go_on(gateway: Gateway) -> None:
    client = SmtpClient(gateway.mx)
    client.hello()
    assert client.command("MAIL FROM:<a@sender.example>").code == 250
    assert client.command("RCPT TO:<carol@globex.example>").code == 451
    assert client.command("RCPT TO:<bob@acme.example>").code == 250
    client.close()
    gateway.wait_for_log("tenant unavailable")
    assert "not a database" in gateway.cli("tenant", "show", "globex")
    for login, code in (("carol@globex.example", 3), (ALICE, 0)):
        assert gateway.run("--as", login, "mailbox", "list", login.split("@")[1].split(".")[0]).returncode == code


def test_all_databases_are_migrated_but_the_damaged_one(gateway: Gateway) -> None:
    done = gateway.run("tenant", "migrate")
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["1/3 acme", "3/3 tenant-a"]
    assert "2/3 globex" in done.stderr


def test_an_operator_logs_in_by_key(gateway: Gateway) -> None:
    key = gateway.root / "operator"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    gateway.cli("operator", "add", "ann", "--key", f"{key}.pub")
    refused = gateway.run("tenant", "list")
    assert (refused.returncode, "--operator-key" in refused.stderr) == (2, True)
    gateway.cli("--operator-key", str(key), "tenant", "disable", "tenant-a")
    assert gateway.json("--operator-key", str(key), "audit", "list")[-1]["actor"] == "operator ann"
    assert gateway.run("--operator-key", str(gateway.root / "password"), "tenant", "list").returncode == 2
    gateway.cli("--operator-key", str(key), "operator", "remove", "ann")
    assert "globex" in gateway.cli("tenant", "list")
