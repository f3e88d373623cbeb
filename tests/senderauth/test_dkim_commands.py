"""`dkim.create|rotate|list|seen`, and `mailgate dkim` on top of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mailgate.cli import dkim
from mailgate.ipc.calls import SigningKey
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.senderauth import signing_key
from mailgate.store.commands.on_directory import dkim_keys
from mailgate.store.commands.on_directory.dkim_keys import KEPT_SECONDS, keys_of
from mailgate.tenancy.directory import Directory
from tests.senderauth.zones import Zone
from tests.support.clock import ManualClock


class Desk:
    """The commands on a directory of its own with the tenants acme and bcme."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.directory = Directory(folder, self.clock)
        self.directory.life.add("acme", ["acme.example", "acme.test"])
        self.directory.life.add("bcme", ["bcme.example"])

    def call(self, command: str, **arguments: Any) -> Any:
        return json.loads(json.dumps(dkim_keys.handlers(self.directory)[command](**arguments)))

    def signing(self, tenant: str = "acme", domain: str = "acme.example") -> tuple[SigningKey, ...]:
        return keys_of(self.directory, tenant, domain).keys


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.directory.close()


def test_the_first_keys(desk: Desk) -> None:
    rsa, ed25519 = desk.call("dkim.create", domain="ACME.example")
    assert (rsa["kind"], ed25519["kind"]) == ("rsa", "ed25519")
    assert rsa["name"] == f"{rsa['selector']}._domainkey.acme.example"
    assert rsa["record"].startswith("v=DKIM1; k=rsa; p=")
    keys = {key.selector: key for key in desk.signing()}
    assert signing_key.decode(keys[rsa["selector"]].private).record == rsa["record"]
    assert {key["selector"] for key in desk.call("dkim.list", domain="acme.example")} == set(keys)
    with pytest.raises(ConflictError, match="mailgate dkim rotate acme"):
        desk.call("dkim.create", domain="acme.example")


def test_keys_belong_to_one_tenant_and_one_domain(desk: Desk) -> None:
    desk.call("dkim.create", domain="acme.example")
    assert desk.signing("bcme", "acme.example") == ()
    assert desk.signing("acme", "acme.test") == ()
    with pytest.raises(NotFoundError):
        desk.call("dkim.create", domain="elsewhere.example")


def test_the_last_mail_of_a_tenant_that_is_gone_has_no_keys(desk: Desk) -> None:
    assert desk.signing("gone", "acme.example") == ()


def test_private_keys_are_not_on_disk_in_the_clear(desk: Desk) -> None:
    desk.call("dkim.create", domain="acme.example")
    secrets = [key.private for key in desk.signing()]
    desk.directory.close()
    for path in desk.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content or secret[-32:] in content for secret in secrets), path


def test_a_key_of_another_row_does_not_open(desk: Desk) -> None:
    desk.call("dkim.create", domain="acme.example")
    (database,) = filter(_has_keys, desk.folder.glob("tenants/*/tenant.db"))
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE dkim_keys SET selector = 'moved' WHERE kind = 'rsa'")
    connection.close()
    with pytest.raises(UnavailableError, match="moved of acme"):
        desk.signing()


def _has_keys(path: Path) -> bool:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT count(*) FROM dkim_keys").fetchone()[0]
    connection.close()
    return bool(found)


def test_a_rotation_from_new_keys_to_the_end_of_the_old_ones(desk: Desk) -> None:
    old = {key["selector"] for key in desk.call("dkim.create", domain="acme.example")}
    desk.clock.advance(100 * 86_400)
    new = {key["selector"] for key in desk.call("dkim.rotate", domain="acme.example")}
    assert not old & new
    again = desk.call("dkim.rotate", domain="acme.example")
    assert {key["selector"] for key in again} == new, "taken up, not begun anew"
    assert [key.selector for key in desk.signing()][:2] == sorted(new), "the newest first"

    desk.clock.advance(60)
    assert set(desk.call("dkim.seen", domain="acme.example", selectors=sorted(new))["retired"]) == old
    assert {key.selector for key in desk.signing()} == new
    assert {key["selector"] for key in desk.call("dkim.list", domain="acme.example")} == old | new

    desk.clock.advance(KEPT_SECONDS + 1)
    assert set(desk.call("dkim.seen", domain="acme.example", selectors=[])["deleted"]) == old
    assert {key["selector"] for key in desk.call("dkim.list", domain="acme.example")} == new


def test_two_rotations_on_one_day_get_different_selectors(desk: Desk) -> None:
    first = desk.call("dkim.create", domain="acme.example")
    desk.clock.advance(10)
    second = desk.call("dkim.rotate", domain="acme.example")
    assert [key["selector"] for key in second] == [f"{key['selector']}2" for key in first]


def test_a_key_that_does_not_exist_can_not_be_seen(desk: Desk) -> None:
    with pytest.raises(NotFoundError):
        desk.call("dkim.seen", domain="acme.example", selectors=["x"])


@pytest.fixture
def zone() -> Zone:
    return Zone({})


class Line:
    """`line("list", "acme.example")` gives exit code and output."""

    def __init__(self) -> None:
        self._app = typer.Typer()
        self._app.add_typer(dkim.app, name="dkim")

    def __call__(self, *words: str) -> tuple[int, str]:
        result = CliRunner().invoke(self._app, ["dkim", *words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout


@pytest.fixture
def line(desk: Desk, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(dkim, "admin", lambda: desk)
    monkeypatch.setattr(dkim, "DnsResolver", lambda *arguments: zone)
    return Line()


def publish(zone: Zone, keys: list[dict[str, Any]]) -> None:
    zone.data = {**zone.data, **{f"{key['name']} TXT": [key["record"]] for key in keys}}


def test_records_are_printed_as_a_zone_file_takes_them(line: Line, desk: Desk) -> None:
    code, printed = line("create", "acme.example")
    assert code == 0
    first = printed.splitlines()[0]
    name, _, strings = first.partition(". IN TXT ")
    texts = strings[1:-1].split('" "')
    assert all(len(text) <= 255 for text in texts) and len(texts) == 2
    keys = {key["name"]: key["record"] for key in desk.call("dkim.list", domain="acme.example")}
    assert "".join(texts) == keys[name]


def test_check_tells_what_the_dns_lacks(line: Line, desk: Desk, zone: Zone) -> None:
    line("create", "acme.example")
    code, printed = line("check", "acme.example")
    assert code == 1 and printed.count("missing") == 2 and "IN TXT" in printed
    keys = desk.call("dkim.list", domain="acme.example")
    publish(zone, keys)
    code, printed = line("check", "acme.example", "--json")
    assert code == 0 and [key["dns"] for key in json.loads(printed)["keys"]] == ["shown", "shown"]
    zone.data = {f"{keys[0]['name']} TXT": [keys[1]["record"]]}
    assert "another key" in line("check", "acme.example")[1]
    zone.failing = frozenset({keys[0]["name"]})
    assert "can't be looked up" in line("check", "acme.example")[1]


def test_rotate_switches_once_the_dns_shows_the_new_keys(line: Line, desk: Desk, zone: Zone) -> None:
    old = desk.call("dkim.create", domain="acme.example")
    desk.clock.advance(86_400)
    new = desk.call("dkim.rotate", domain="acme.example")
    publish(zone, new)
    code, printed = line("rotate", "acme.example", "--wait", "30")
    assert code == 0 and all(key["selector"] in printed.splitlines()[-1] for key in old)
    assert {key.selector for key in desk.signing()} == {key["selector"] for key in new}


def test_rotate_gives_up_when_the_dns_shows_nothing(line: Line, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dkim, "POLL_SECONDS", 0.01)
    old = desk.call("dkim.create", domain="acme.example")
    desk.clock.advance(86_400)
    code, printed = line("rotate", "acme.example", "--wait", "1")
    assert code == 1 and "the old ones go on signing" in printed
    assert {key["selector"] for key in old} <= {key.selector for key in desk.signing()}
