"""Who may ask the store for what: the key that a process inherited says which it is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import get_args

import pytest

from mailgate.ipc import keys
from mailgate.ipc.calls import (
    Admin,
    AdminRequest,
    Answer,
    Authenticate,
    Authenticated,
    Commit,
    GetSigningKeys,
    Hello,
    Lease,
    Request,
    Resolve,
    Resolved,
    Result,
    Welcome,
)
from mailgate.ipc.frames import Calls, converse
from mailgate.model.errors import UserError
from mailgate.settings import Settings
from mailgate.store import entitlement
from mailgate.store.process import StoreProcess
from tests.store.running import add_people, listen

MADE = keys.make_keys()
ROLES = (keys.EDGE, keys.RELAY, keys.SUPERVISOR)


@pytest.mark.parametrize("role", ROLES)
def test_a_process_is_what_its_key_says(role: str) -> None:
    entitlement.check(MADE, "", Hello(role, MADE[role]))


@pytest.mark.parametrize(
    ("role", "hello"),
    [
        ("", Hello(keys.EDGE)),
        ("", Hello(keys.EDGE, MADE[keys.RELAY])),
        ("", Hello(keys.EDGE, MADE[keys.EDGE][:-1])),
        ("", Hello("store", b"")),
        ("", Hello("store", b"x")),
        ("", Hello("", b"")),
        (keys.EDGE, Hello(keys.RELAY, MADE[keys.RELAY])),  # there is no switch
    ],
)
def test_nobody_else_is_greeted(role: str, hello: Hello) -> None:
    with pytest.raises(UserError, match="none of the gateway's processes"):
        entitlement.check(MADE, role, hello)


def test_each_call_is_for_somebody_and_none_for_who_has_not_said_who_it_is() -> None:
    given = set().union(*entitlement._CALLS.values())
    assert given == set(get_args(Request)) - (set(get_args(AdminRequest)) - {Admin}) - {Hello}
    assert entitlement._CALLS.keys() == set(ROLES)


@pytest.mark.parametrize(
    ("role", "request_"),
    [
        ("", Resolve("a", "b")),
        ("", Admin("queue.summary")),
        (keys.EDGE, Admin("queue.summary")),
        (keys.EDGE, Lease("me", 1, 1.0)),
        (keys.EDGE, GetSigningKeys("acme", "acme.example")),
        (keys.RELAY, Commit(())),
        (keys.RELAY, Authenticate("a", b"b", "c")),
        (keys.RELAY, Admin("tenant.list")),
        (keys.SUPERVISOR, Admin("tenant.list")),
        (keys.SUPERVISOR, Admin("operator.remove", {"name": "alice"})),
        (keys.SUPERVISOR, Resolve("a", "b")),
    ],
)
def test_what_is_for_another_is_refused(role: str, request_: Request) -> None:
    with pytest.raises(UserError):
        entitlement.check(MADE, role, request_)


def test_keys_pass_by_descriptor_to_every_process_that_follows() -> None:
    descriptor = keys.to_inherit({keys.EDGE: MADE[keys.EDGE]})
    copies = [os.dup(descriptor) for _ in range(2)]
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    assert [keys.inherited(each) for each in (*copies, descriptor)] == [{keys.EDGE: MADE[keys.EDGE]}] * 3
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(descriptor)


def test_the_key_of_the_command_line_is_made_once_for_the_account_only(tmp_path: Path) -> None:
    socket = tmp_path / "admin.sock"
    assert keys.read_file(socket) == b""
    made = keys.made_file(socket)
    assert len(made) == 32
    assert (tmp_path / "admin.key").stat().st_mode & 0o777 == 0o600
    assert keys.made_file(socket) == keys.read_file(socket) == made
    (tmp_path / "admin.key").write_bytes(b"cut off")
    assert len(keys.made_file(socket)) == 32


def test_a_store_with_keys(settings: Settings) -> None:
    """The whole way, on real sockets: nothing without a key, commands for who can read the one beside the socket."""
    add_people(settings)

    async def work() -> None:
        sockets = [listen(settings.store_path), listen(settings.admin_path)]
        process = StoreProcess(settings, *sockets, keys=MADE)
        ready, stop = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(process.run(ready.set, stop))
        await ready.wait()
        try:
            await asyncio.to_thread(attempts)
        finally:
            stop.set()
            await task

    def at_store(request: Request, role: str = "", key: bytes = b"") -> Answer:
        async def talk(calls: Calls) -> Answer:
            if role:
                assert isinstance(await calls.call(Hello(role, key)), Welcome)
            return await calls.call(request)

        return converse(settings.store_path, talk)

    def command(name: str) -> Answer:
        return converse(settings.admin_path, lambda calls: calls.call(Admin(name)))

    def attempts() -> None:
        bob = Resolve("bob", "acme.example")
        for request in (bob, Admin("tenant.list"), Admin("queue.summary"), Hello("edge"), Hello("edge", b"x" * 32)):
            with pytest.raises(UserError):
                at_store(request)
        assert isinstance(at_store(bob, keys.EDGE, MADE[keys.EDGE]), Resolved)
        assert isinstance(
            at_store(Authenticate("x@acme.example", b"x", "::1"), keys.EDGE, MADE[keys.EDGE]), Authenticated
        )
        assert isinstance(at_store(Admin("queue.summary"), keys.SUPERVISOR, MADE[keys.SUPERVISOR]), Result)
        with pytest.raises(UserError, match="admin socket"):
            at_store(Admin("operator.list"), keys.SUPERVISOR, MADE[keys.SUPERVISOR])
        assert isinstance(command("tenant.list"), Result)
        file = keys.file_of(settings.admin_path)
        held = file.read_bytes()
        file.unlink()  # as for one that can't open it
        with pytest.raises(UserError, match="key beside the admin socket"):
            command("tenant.list")
        file.write_bytes(b"y" * 32)
        with pytest.raises(UserError, match="key beside the admin socket"):
            command("tenant.list")
        file.write_bytes(held)
        assert isinstance(command("tenant.list"), Result)

    asyncio.run(work())
