"""The socket where an IMAP server asks: what it answers, to whom, and what it survives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mailgate.model.errors import UserError
from mailgate.settings import Settings
from mailgate.spool.listing import Listing
from tests.store.running import PASSWORD, Store, add_people, running
from tests.support.clock import ManualClock

BOB = "bob@acme.example"


@pytest.fixture
def with_logins(settings: Settings) -> Settings:
    add_people(settings)
    return settings.model_copy(update={"login_socket": settings.run_dir / "logins.sock"})


async def say(settings: Settings, line: bytes) -> bytes:
    """What comes back until the connection is closed."""
    assert settings.login_socket is not None
    reader, writer = await asyncio.open_unix_connection(settings.login_socket)
    writer.write(line)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


async def ask(settings: Settings, login: str, password: str, peer: str = "192.0.2.1") -> Any:
    question = {"login": login, "password": password, "peer": peer}
    return json.loads(await say(settings, json.dumps(question).encode() + b"\n"))


@contextlib.asynccontextmanager
async def store_of(settings: Settings, **more: Any) -> AsyncIterator[Store]:
    async with running(settings, **more) as store:
        yield store


def test_the_right_password_opens_the_own_mailbox(with_logins: Settings) -> None:
    async def scenario() -> None:
        async with store_of(with_logins) as store:
            answer = await ask(with_logins, "Bob@ACME.example", PASSWORD)
            acl = Path(answer.pop("acl"))
            assert answer == {"result": "ok", "login": BOB, "maildir": str(store.maildir)}
            assert acl.read_text() == "* owner lrswipkxte\n"
            assert Path(store.maildir, "new").is_dir()

    asyncio.run(scenario())


def test_wrong_passwords_and_unknown_names_are_refused_alike(with_logins: Settings) -> None:
    async def scenario() -> None:
        async with store_of(with_logins):
            answers = [
                await ask(with_logins, login, password)
                for login, password in ((BOB, "wrong"), ("nobody@acme.example", PASSWORD), ("bob", PASSWORD), ("", ""))
            ]
            assert [answer["result"] for answer in answers] == ["refused"] * 4
            assert len({json.dumps(answer) for answer in answers}) == 1

    asyncio.run(scenario())


def test_a_disabled_user_is_refused_at_once_though_the_password_was_right_a_moment_ago(with_logins: Settings) -> None:
    async def scenario() -> None:
        async with store_of(with_logins) as store:
            assert (await ask(with_logins, BOB, PASSWORD))["result"] == "ok"
            await store.admin("user.disable", login=BOB)
            assert (await ask(with_logins, BOB, PASSWORD))["result"] == "refused"

    asyncio.run(scenario())


def test_who_has_no_mailbox_of_their_own_is_refused(with_logins: Settings) -> None:
    async def scenario() -> None:
        async with store_of(with_logins) as store:
            await store.admin("mailbox.add", tenant="acme", address="team@acme.example", users=[BOB])
            await store.admin("mailbox.unassign", mailbox=BOB, user=BOB)
            assert (await ask(with_logins, BOB, PASSWORD))["result"] == "refused"

    asyncio.run(scenario())


def test_guessing_is_slowed_down_by_the_address_of_the_imap_client(with_logins: Settings) -> None:
    async def scenario() -> None:
        async with store_of(with_logins, clock=ManualClock()):
            for number in range(12):
                await ask(with_logins, f"guess{number}@acme.example", "wrong", peer="192.0.2.66")
            assert (await ask(with_logins, BOB, PASSWORD, peer="192.0.2.66"))["result"] == "refused"
            assert (await ask(with_logins, BOB, PASSWORD, peer="192.0.2.1"))["result"] == "ok"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b"[]\n", b'{"login": 1, "password": 2}\n', b'{"login":"a","password":"\xff"}\n', b"\xff\xfe\n"],
)
def test_what_is_no_question_is_refused(with_logins: Settings, line: bytes) -> None:
    async def scenario() -> None:
        async with store_of(with_logins):
            assert json.loads(await say(with_logins, line))["result"] == "refused"

    asyncio.run(scenario())


def test_too_long_a_line_and_half_a_line_get_no_answer_and_others_do(with_logins: Settings) -> None:
    async def scenario() -> None:
        async with store_of(with_logins):
            with contextlib.suppress(ConnectionError):
                assert await say(with_logins, b"x" * 1_000_000) == b""
            assert await say(with_logins, b'{"login":') == b""
            assert (await ask(with_logins, BOB, PASSWORD))["result"] == "ok"

    asyncio.run(scenario())


def test_only_the_own_account_may_connect_and_an_old_socket_is_replaced(with_logins: Settings) -> None:
    assert with_logins.login_socket is not None

    async def scenario() -> None:
        async with store_of(with_logins):
            assert (await ask(with_logins, BOB, PASSWORD))["result"] == "ok"
            assert with_logins.login_socket is not None
            assert with_logins.login_socket.stat().st_mode & 0o777 == 0o600

    asyncio.run(scenario())
    with socket.socket(socket.AF_UNIX) as old:  # left over: from Python 3.13 on who closes one takes it away
        with_logins.login_socket.unlink(missing_ok=True)
        old.bind(str(with_logins.login_socket))
    asyncio.run(scenario())


def test_a_socket_that_cannot_be_had_is_explained(with_logins: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody reads the spool any longer when it is closed."""
    readers: list[str] = []
    close = Listing.close

    def closed(listing: Listing) -> None:
        readers.extend(thread.name for thread in threading.enumerate() if thread.name.startswith("admin"))
        close(listing)

    monkeypatch.setattr(Listing, "close", closed)
    wrong = with_logins.model_copy(update={"login_socket": with_logins.data_dir / "missing" / "logins.sock"})

    async def scenario() -> None:
        async with store_of(wrong):
            pass

    with pytest.raises(UserError, match=r"MAILGATE_LOGIN_SOCKET .*logins.sock: No such file"):
        asyncio.run(scenario())
    assert not readers
