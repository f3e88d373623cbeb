"""Who speaks on the admin socket: users by password, operators by key, the account behind it while there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailgate.ipc.calls import Admin, Challenge, Done, GetChallenge, LogIn, Prove, Resolve, Result
from mailgate.ipc.frames import Calls, connect
from mailgate.model.errors import NotFoundError, UserError
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.commands.callers import KEY_NEEDED, REFUSED
from mailgate.tenancy.logins import operator_keys
from tests.store.running import PASSWORD, Store, add_people, running

BOB = "bob@acme.example"


def private_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def public_line(private: bytes) -> str:
    key = serialization.load_ssh_private_key(private, None).public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


@asynccontextmanager
async def line(store: Store) -> AsyncIterator[Calls]:
    """A connection to the admin socket."""
    calls = await connect(store.settings.admin_path, lambda push: None, lambda: None)
    yield calls
    calls.close()


async def give(calls: Calls, command: str, **arguments: Any) -> Any:
    answer = await calls.call(Admin(command, arguments))
    assert isinstance(answer, Result)
    return answer.value


async def log_in(calls: Calls, login: str = BOB, password: str = PASSWORD) -> None:
    assert await calls.call(LogIn(login, password.encode())) == Done()


async def prove(calls: Calls, key: bytes) -> None:
    challenge = await calls.call(GetChallenge())
    assert isinstance(challenge, Challenge)
    assert await calls.call(Prove(operator_keys.sign(key, challenge.nonce))) == Done()


@pytest.fixture
def acme(settings: Settings) -> Settings:
    add_people(settings)
    return settings


def test_without_an_operator_the_account_behind_the_socket_is_one(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store, line(store) as calls:
            await give(calls, "user.disable", login=BOB)
            (entry,) = await give(calls, "audit.list", tenant="acme", limit=1)
            assert entry["actor"].startswith("account ")

    asyncio.run(run())


def test_operators_are_told_the_settings_and_no_key(acme: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    key = private_key()
    offline.run_alone(acme, "operator.add", {"name": "ann", "key": public_line(key)})
    kept = acme.data_dir / "master.key"
    kept.write_bytes(b"K" * 32)
    kept.chmod(0o600)
    monkeypatch.chdir(acme.data_dir.parent)
    started = acme.model_copy(update={"tls_key": Path("key.pem"), "master_key_file": kept, "clamd": ["tcp:[::1]:3310"]})

    async def run() -> None:
        async with running(started) as store:
            async with line(store) as calls:
                with pytest.raises(UserError, match="operators log in by key"):
                    await give(calls, "settings.show")
            async with line(store) as calls:
                await prove(calls, key)
                told = await give(calls, "settings.show")
                assert told["MAILGATE_TLS_KEY"] == str(acme.data_dir.parent / "key.pem"), "wherever the command runs"
                assert told["MAILGATE_CLAMD"] == "tcp:[::1]:3310"
                assert "KKKK" not in str(told)

    asyncio.run(run())


def test_a_user_sees_and_changes_what_is_theirs(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store, line(store) as calls:
            await log_in(calls)
            (box,) = await give(calls, "mailbox.list")
            assert (box["address"], box["path"]) == (BOB, None), "where it lies is the operator's"
            await give(calls, "user.passwd", login=BOB, password="another-horse-battery-9")
            assert [entry["actor"] for entry in await give(calls, "audit.list")] == [BOB]
            for command in ("tenant.list", "user.list", "policy.show", "settings.show"):
                with pytest.raises(UserError, match=f"there is no command '{command}'"):
                    await give(calls, command)

    asyncio.run(run())


def test_every_failed_login_reads_alike_and_leads_nowhere(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store:
            for login, password in ((BOB, "wrong"), ("nobody@acme.example", PASSWORD), ("x@far.example", PASSWORD)):
                async with line(store) as calls:
                    with pytest.raises(UserError, match=f"^{REFUSED}$"):
                        await log_in(calls, login, password)

    asyncio.run(run())


def test_a_connection_is_bound_to_its_first_login(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store, line(store) as calls:
            await log_in(calls)
            with pytest.raises(UserError, match=REFUSED):
                await log_in(calls)
            assert (await give(calls, "mailbox.list"))[0]["address"] == BOB

    asyncio.run(run())


def test_whoever_is_switched_off_is_out_at_once(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store, line(store) as calls:
            await log_in(calls)
            await store.admin("user.disable", login=BOB)
            with pytest.raises(UserError, match=REFUSED):
                await give(calls, "mailbox.list")

    asyncio.run(run())


def test_once_there_is_an_operator_nobody_goes_in_without_a_login(acme: Settings) -> None:
    key, other = private_key(), private_key()

    async def run() -> None:
        async with running(acme) as store:
            async with line(store) as calls:
                added = await give(calls, "operator.add", name="ann", key=public_line(key))
                assert added["key"].startswith("SHA256:")
                with pytest.raises(UserError, match="operators log in by key"):
                    await give(calls, "tenant.list")
            async with line(store) as calls:
                with pytest.raises(UserError, match=f"^{REFUSED}$"):
                    await prove(calls, other)
                with pytest.raises(UserError) as refused:
                    await give(calls, "tenant.list")
                assert str(refused.value) == KEY_NEEDED
            async with line(store) as calls:
                await prove(calls, key)
                await give(calls, "tenant.disable", name="acme")
                assert (await give(calls, "audit.list", limit=1))[0]["actor"] == "operator ann"
                await give(calls, "operator.remove", name="ann")
            async with line(store) as calls:
                assert await give(calls, "operator.list") == []

    asyncio.run(run())


def test_a_signature_is_good_for_one_challenge(acme: Settings) -> None:
    key = private_key()
    offline.run_alone(acme, "operator.add", {"name": "ann", "key": public_line(key)})

    async def run() -> None:
        async with running(acme) as store, line(store) as first, line(store) as second:
            challenge = await first.call(GetChallenge())
            assert isinstance(challenge, Challenge)
            stolen = Prove(operator_keys.sign(key, challenge.nonce))
            await second.call(GetChallenge())
            for calls in (second, second):
                with pytest.raises(UserError, match=REFUSED):
                    await calls.call(stolen)
            assert await first.call(stolen) == Done()

    asyncio.run(run())


def test_the_admin_socket_takes_nothing_but_commands_and_logins(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store, line(store) as calls:
            with pytest.raises(UserError, match="commands only"):
                await calls.call(Resolve("bob", "acme.example"))
            with pytest.raises(UserError, match="admin socket"):
                await store.call(GetChallenge())

    asyncio.run(run())


@pytest.mark.parametrize("text", ["", "ssh-ed25519 AAAA", "ssh-rsa AAAA", "-----BEGIN PUBLIC KEY-----\nx\n", "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="Ed25519 public key is needed"):
        operator_keys.read_public(text)
    with pytest.raises(UserError, match="operator key"):
        operator_keys.sign(text.encode(), b"challenge")


def test_an_operator_is_added_once(acme: Settings) -> None:
    line = public_line(private_key())
    offline.run_alone(acme, "operator.add", {"name": "ann", "key": line})
    with pytest.raises(NotFoundError):
        offline.run_alone(acme, "operator.remove", {"name": "bob"})
    with pytest.raises(UserError, match="operator name"):
        offline.run_alone(acme, "operator.add", {"name": "Ann B", "key": public_line(private_key())})
    assert [each["name"] for each in offline.run_alone(acme, "operator.list", {})] == ["ann"]
