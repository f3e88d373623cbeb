"""When sessions of an IMAP server are ended: after whatever changed what they may, and only then."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError, UnavailableError
from mailgate.store.logins import mail_sessions
from mailgate.store.logins.doveadm import EVERYBODY, kick
from mailgate.store.logins.mail_sessions import MailSessions
from mailgate.tenancy.access.rights import ALL, Rights
from mailgate.tenancy.databases.ids import AppPasswordId
from mailgate.tenancy.people.mail_access import NO_ACCESS, MailAccess, SharedMailbox, acl_text
from tests.store.running import until
from tests.support.clock import ManualClock

ACME, GLOBEX = TenantName("acme"), TenantName("globex")


class Directory:
    """Answers from `known`; `kicked` collects whose sessions were ended, where `is_deaf` does not stand for a Dovecot
    that does not answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, MailAccess] = {}
        self.kicked: list[str] = []
        self.is_away = self.is_deaf = False
        for tenant, login in ((ACME, "bob"), (ACME, "alice"), (GLOBEX, "carol")):
            self.known[login] = MailAccess(tenant, login, folder / login, ALL, (), folder / "acl" / login, 1.0)

    async def access(self, login: str) -> MailAccess:
        if self.is_away:
            raise UnavailableError("damaged")
        if login not in self.known:
            raise NotFoundError(login)
        return self.known[login]

    async def kick(self, login: str) -> None:
        if self.is_deaf:
            raise UnavailableError("no answer")
        self.kicked.append(login)

    def share(self, login: str, rights: Rights) -> None:
        shared = SharedMailbox("team", self.folder / "team", rights)
        self.known[login] = replace(self.known[login], shared=(shared,))

    def acl(self, login: str) -> str:
        return (self.folder / "acl" / login).read_text()


Scenario = Callable[[MailSessions, Directory], Awaitable[None]]


def play(directory: Directory, scenario: Scenario) -> None:
    async def run() -> None:
        sessions = MailSessions(directory.access, directory.kick)
        task = asyncio.create_task(sessions.run())
        await until(lambda: directory.kicked == [EVERYBODY] or directory.is_deaf)
        for login in ("bob", "alice", "carol"):
            await sessions.open(login)
        try:
            await scenario(sessions, directory)
        finally:
            task.cancel()

    asyncio.run(run())


def test_who_loses_a_mailbox_is_out_and_nobody_else(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    for login in ("bob", "alice", "carol"):
        directory.share(login, ALL)

    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        assert directory.acl("alice") == acl_text(directory.known["alice"])
        directory.known["alice"] = replace(directory.known["alice"], shared=())
        directory.known["carol"] = replace(directory.known["carol"], shared=())
        sessions.changed(ACME)
        await until(lambda: len(directory.kicked) > 1)
        assert directory.kicked == [EVERYBODY, "alice"]
        assert directory.acl("alice") == acl_text(directory.known["alice"])
        assert "team" in directory.acl("bob")
        sessions.changed(TenantName(""))
        await until(lambda: len(directory.kicked) > 2)
        assert directory.kicked == [EVERYBODY, "alice", "carol"]

    play(directory, scenario)


def test_what_was_open_for_a_time_is_closed_without_a_change(tmp_path: Path) -> None:
    clock = ManualClock()

    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        sessions._clock = clock
        before = directory.known["bob"]
        directory.known["bob"] = replace(before, until=clock() + 0.01)
        await sessions.open("bob")
        directory.known["bob"] = before
        assert directory.kicked == [EVERYBODY]
        clock.advance(0.01)
        await until(lambda: "bob" in directory.kicked)

    play(Directory(tmp_path), scenario)


def test_an_app_password_that_expires_ends_what_it_opened_and_a_new_one_ends_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    phone, tablet = AppPasswordId("phone"), AppPasswordId("tablet")

    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        sessions._clock = clock
        before = directory.known["bob"]
        directory.known["bob"] = replace(before, app_passwords=frozenset({phone, tablet}), until=clock() + 0.01)
        sessions.changed(ACME)
        await until(lambda: sessions._granted["bob"].until is not None)
        assert directory.kicked == [EVERYBODY]
        directory.known["bob"] = replace(before, app_passwords=frozenset({tablet}))
        clock.advance(0.01)
        await until(lambda: "bob" in directory.kicked)

    play(Directory(tmp_path), scenario)


def test_a_login_right_after_a_change_does_not_save_the_sessions_of_before(tmp_path: Path) -> None:
    """It takes the place of what was remembered of them."""

    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        directory.known["bob"] = replace(directory.known["bob"], password_changed_at=2.0)
        await sessions.open("bob")
        sessions.changed(ACME)
        await until(lambda: "bob" in directory.kicked)

    play(Directory(tmp_path), scenario)


def test_who_is_gone_may_nothing_even_before_the_session_ends(tmp_path: Path) -> None:
    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        del directory.known["bob"]
        sessions.changed(ACME)
        await until(lambda: "bob" in directory.kicked)
        assert directory.acl("bob") == NO_ACCESS

    play(Directory(tmp_path), scenario)


def test_a_change_while_the_login_is_answered_is_not_missed(tmp_path: Path) -> None:
    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        before = directory.known["bob"]

        async def overtaken(login: str) -> MailAccess:
            sessions._access = directory.access
            directory.share("bob", ALL)
            sessions.changed(ACME)
            return before

        sessions._access = overtaken
        await sessions.open("bob")
        await until(lambda: "bob" in directory.kicked and "team" in directory.acl("bob"))

    play(Directory(tmp_path), scenario)


def test_many_logins_of_one_user_at_once(tmp_path: Path) -> None:
    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        await asyncio.gather(*(sessions.open("bob") for _ in range(50)))
        assert directory.acl("bob") == acl_text(directory.known["bob"])
        assert sorted(path.name for path in (directory.folder / "acl").iterdir()) == ["alice", "bob", "carol"]

    play(Directory(tmp_path), scenario)


def test_sessions_end_though_the_file_cannot_be_written(tmp_path: Path) -> None:
    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        shutil.rmtree(directory.folder / "acl")
        (directory.folder / "acl").touch()
        directory.share("bob", ALL)
        sessions.changed(ACME)
        await until(lambda: "bob" in directory.kicked)
        with pytest.raises(UnavailableError, match="acl/bob"):
            await sessions.open("bob")

    play(Directory(tmp_path), scenario)


def test_sessions_go_on_while_nobody_can_say_what_they_may(tmp_path: Path) -> None:
    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        directory.is_away = True
        sessions.changed(ACME)
        await sessions._compare()
        directory.is_away = False
        directory.share("bob", ALL)
        sessions.changed(ACME)
        await until(lambda: "bob" in directory.kicked)

    play(Directory(tmp_path), scenario)


def test_what_could_not_be_ended_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_sessions, "RETRY_SECONDS", 0.01)

    async def scenario(sessions: MailSessions, directory: Directory) -> None:
        directory.is_deaf = True
        directory.share("bob", ALL)
        sessions.changed(ACME)
        await until(lambda: "team" in directory.acl("bob"))
        directory.is_deaf = False
        await until(lambda: "bob" in directory.kicked)

    play(Directory(tmp_path), scenario)


@pytest.mark.parametrize(
    ("said", "is_fine"),
    [
        (b"+\nbob\t\n+\n", True),
        (b"+\n\n-NOTFOUND\n", True),
        (b"-\n", False),
        (b"+\n\n-NOREPLICATE\n", False),
        (b"", False),
        (b"+\n", False),
    ],
)
def test_what_doveadm_says(tmp_path: Path, said: bytes, is_fine: bool) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline() + await reader.readline())
        writer.write(said)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_unix_server(answer, tmp_path / "doveadm"):
            await kick(tmp_path / "doveadm", "bob@acme.example")

    if is_fine:
        asyncio.run(run())
    else:
        with pytest.raises(UnavailableError, match="bob@acme"):
            asyncio.run(run())
    assert asked == [b"VERSION\tdoveadm-server\t1\t0\n\t\tkick\tbob@acme.example\n"]


def test_where_no_dovecot_runs_there_is_no_session(tmp_path: Path) -> None:
    asyncio.run(kick(tmp_path / "nothing", "bob@acme.example"))
