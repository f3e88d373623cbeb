"""The store over its real sockets: every call, and what becomes of a message."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mailgate.ipc.calls import (
    Admin,
    Authenticate,
    Authenticated,
    DirectoryChanged,
    Done,
    Ended,
    Hello,
    Lease,
    Leased,
    NewEntry,
    Note,
    PolicyChanged,
    Record,
    RelayWork,
    Resolve,
    Resolved,
    Welcome,
)
from mailgate.model.decision import Action
from mailgate.model.envelope import MailboxId, Recipient
from mailgate.model.errors import NotFoundError, UnavailableError, UserError
from mailgate.model.event import Event
from mailgate.model.outcome import Outcome, State
from mailgate.policy.snapshot import Snapshot
from mailgate.settings import Settings
from tests.spool.making import entry, envelope, local, outside, staged
from tests.store.running import PASSWORD, Store, add_people, running, until


@pytest.fixture(autouse=True)
def people(settings: Settings) -> None:
    add_people(settings)


def to_bob(store: Store, *more: Recipient) -> tuple[Recipient, ...]:
    return (local("bob@acme.example", store.mailbox), *more)


def test_hello_gets_the_policy(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            welcome = await store.call(Hello("edge"))
            assert isinstance(welcome, Welcome)
            assert Snapshot.decode(welcome.policy).version
            again = await store.call(Hello("edge"))
            assert isinstance(again, Welcome)
            assert again.boot_id == welcome.boot_id

    asyncio.run(run())


def test_who_is_there(settings: Settings) -> None:
    async def run() -> list[str]:
        async with running(settings) as store:
            asked = [Resolve("bob", "acme.example"), Resolve("eve", "acme.example"), Resolve("x", "else.example")]
            answers = [await store.call(question) for question in asked]
            return [answer.kind for answer in answers if isinstance(answer, Resolved)]

    assert asyncio.run(run()) == ["mailbox", "unknown", "foreign"]


def test_mail_for_a_routed_domain_goes_to_the_tenants_server(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "own-policies"
    (folder / "tenants").mkdir(parents=True)
    (folder / "gateway.toml").touch()
    route = '[[inbound]]\ndomain = ["acme.example", "else.example"]\nserver = "mail.acme.example:25"\n'
    (folder / "tenants" / "acme.toml").write_text(route)

    async def run() -> list[tuple[str, str]]:
        async with running(settings.model_copy(update={"policy_dir": folder})) as store:
            asked = [Resolve("bob", "acme.example"), Resolve("eve", "acme.example"), Resolve("x", "else.example")]
            answers = [await store.call(question) for question in (*asked, Resolve("postmaster", ""))]
            return [(answer.kind, answer.tenant) for answer in answers if isinstance(answer, Resolved)]

    assert asyncio.run(run()) == [("routed", "acme"), ("routed", "acme"), ("foreign", ""), ("mailbox", "")]


def test_a_small_message_lies_in_its_mailbox_byte_for_byte(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            body = os.urandom(5000)
            given = entry(*to_bob(store), body=body)
            assert await store.commit(given) == Done()
            assert await store.until_delivered(1) == [given.prefix + body]
            (path,) = (store.maildir / "new").iterdir()
            assert path.name == f"{given.envelope.queue_id},S={len(given.prefix + body)}"

    asyncio.run(run())


def test_a_large_message_is_written_once(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            body = os.urandom(1 << 20)
            given = staged(settings.staging_dir / "m", body, *to_bob(store), cuts=[(10, 20)])
            assert await store.commit(given) == Done()
            assert await store.until_delivered(1) == [given.prefix + body[:10] + body[20:]]
            contents = settings.data_dir / "spool" / "content"
            await until(lambda: not [path for path in contents.rglob("*") if path.is_file()])
            (path,) = (store.maildir / "new").iterdir()
            assert path.stat().st_nlink == 1

    asyncio.run(run())


def test_two_addresses_of_one_mailbox_get_one_message(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            given = entry(*to_bob(store, local("alias@acme.example", store.mailbox)))
            await store.commit(given)
            await until(lambda: _is_final(store, given.envelope.queue_id))
            assert len(store.delivered()) == 1
            (timeline,) = await store.admin("trace", id=given.envelope.queue_id)
            delivered = [line["recipient"] for line in timeline["events"] if line["kind"] == "delivered"]
            assert sorted(delivered) == ["alias@acme.example", "bob@acme.example"]

    asyncio.run(run())


async def _is_final(store: Store, queue_id: str) -> bool:
    return not (await store.admin("queue.show", id=queue_id))["recipients"]


def test_all_entries_of_a_commit_or_none(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            good = entry(*to_bob(store))
            bad = NewEntry(good.envelope, good.decision, b"", b"same queue id")
            with pytest.raises(UnavailableError):
                await store.commit(good, bad)
            assert (await store.admin("queue.summary"))["states"] == {}
            with pytest.raises(NotFoundError):
                await store.admin("trace", id=good.envelope.queue_id)
            assert await store.commit(good) == Done()
            assert len(await store.until_delivered(1)) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda path: entry(action=Action.REJECT), UserError),
        (lambda path: staged(path, b"x" * 100, cuts=[(50, 200)]), UserError),
        (lambda path: NewEntry(envelope(), entry().decision, b"", None, "/nonexistent/file", 10), UnavailableError),
    ],
    ids=["rejected", "cuts", "staged file gone"],
)
def test_what_cant_be_kept_is_refused(settings: Settings, tmp_path: Path, wrong, error) -> None:  # type: ignore[no-untyped-def]
    async def run() -> None:
        async with running(settings) as store:
            with pytest.raises(error):
                await store.commit(wrong(tmp_path / "staged"))
            assert (await store.admin("queue.summary"))["states"] == {}

    asyncio.run(run())


def test_many_at_once_all_arrive(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            given = [entry(*to_bob(store), body=b"message %d" % n) for n in range(300)]
            assert await asyncio.gather(*map(store.commit, given)) == [Done()] * 300
            expected = sorted(one.prefix + (one.inline or b"") for one in given)
            assert await store.until_delivered(300) == expected

    asyncio.run(run())


def test_a_mailbox_that_cant_be_written_is_tried_again(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            aside = store.maildir.with_name("aside")
            store.maildir.rename(aside)
            given = entry(*to_bob(store))
            name = given.envelope.queue_id
            assert await store.commit(given) == Done()

            async def is_deferred() -> bool:
                (row,) = (await store.admin("queue.list"))["rows"] or [{"reason": ""}]
                return "mailbox not usable" in row["reason"]

            await until(is_deferred)
            aside.rename(store.maildir)
            assert (await store.admin("queue.retry", id=name)) == {"changed": ["bob@acme.example"], "busy": []}
            assert len(await store.until_delivered(1)) == 1
            await until(lambda: _is_final(store, name))
            (timeline,) = await store.admin("trace", id=name)
            kinds = [line["kind"] for line in timeline["events"]]
            assert kinds == ["received", "decided", "committed", "deferred", "retry", "delivered"]

    asyncio.run(run())


def test_held_and_released_by_a_person_it_goes_on(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            given = entry(outside("kim@else.example"))
            name = given.envelope.queue_id
            await store.commit(given)
            await store.admin("queue.hold", id=name, tenant="acme", by="ops", reason="look at it")
            (row,) = (await store.admin("queue.list", tenant="acme"))["rows"]
            assert (row["state"], row["reason"]) == ("held", "look at it")
            await store.admin("queue.release", id=name, tenant="acme", by="ops", reason="looked at it")
            (row,) = (await store.admin("queue.list", tenant="acme"))["rows"]
            assert (row["state"], row["reason"]) == ("queued", "")

    asyncio.run(run())


def test_quarantine_belongs_to_its_tenant(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            given = entry(*to_bob(store), action=Action.QUARANTINE)
            name = given.envelope.queue_id
            await store.commit(given)
            assert [row["queue_id"] for row in (await store.admin("quarantine.list", tenant="acme"))["rows"]] == [name]
            assert (await store.admin("quarantine.show", id=name, tenant="acme"))["decision"]["rule"] == "test rule"
            assert (await store.admin("quarantine.list", tenant="globex"))["rows"] == []
            for command in ("show", "release", "delete"):
                with pytest.raises(NotFoundError):
                    await store.admin(f"quarantine.{command}", id=name, tenant="globex")
            for command in ("release", "retry", "delete", "hold"):
                with pytest.raises(NotFoundError):
                    await store.admin(f"queue.{command}", id=name)
            await store.admin("quarantine.delete", id=name, tenant="acme", by="ops", reason="spam")
            assert (await store.admin("quarantine.list", tenant="acme"))["rows"] == []

    asyncio.run(run())


def test_a_note_is_a_timeline(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            refused = envelope()
            assert await store.call(Note(refused, (Event(1.0, "refused", {"reply": "554 5.7.1 No"}),))) == Done()
            (timeline,) = await store.admin("trace", id=refused.message_id)
            assert timeline["accepted"] is False
            assert "554 5.7.1 No" in timeline["events"][0]["text"]

    asyncio.run(run())


def test_logins(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:

            async def login(password: str) -> Authenticated:
                answer = await store.call(Authenticate("bob@acme.example", password.encode(), "192.0.2.1"))
                assert isinstance(answer, Authenticated)
                return answer

            assert (await login("wrong")) == Authenticated(ok=False)
            good = await login(PASSWORD)
            assert (good.ok, good.tenant, good.account) == (True, "acme", "bob@acme.example")
            assert await login(PASSWORD) == good
            await store.admin("user.passwd", login="bob@acme.example", password="quite another secret 7")
            await until(lambda: any(isinstance(push, DirectoryChanged) for push in store.pushed))
            assert not (await login(PASSWORD)).ok

    asyncio.run(run())


def test_a_new_tenant_is_told_to_everybody(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            await store.admin("tenant.add", name="globex", domains=["globex.example"])
            await until(lambda: DirectoryChanged("") in store.pushed)  # type: ignore[arg-type]
            answer = await store.call(Resolve("x", "globex.example"))
            assert isinstance(answer, Resolved)
            assert answer.kind == "unknown"

    asyncio.run(run())


def test_a_policy_reload_is_told_and_a_wrong_one_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "gateway.toml").write_text("[limits]\nrecipients = 100\n")
    own = settings.model_copy(update={"policy_dir": folder})

    async def run() -> None:
        async with running(own) as store:
            before = await store.admin("policy.show")
            (folder / "gateway.toml").write_text("[limits]\nrecipients = 200\n")
            version = await store.admin("policy.reload")
            await until(lambda: store.pushed)
            (push,) = store.pushed
            assert isinstance(push, PolicyChanged)
            assert Snapshot.decode(push.policy).version == version != before["version"]
            (folder / "gateway.toml").write_text("[limits]\nrecipients = 'many'\nnonsense = 1\n")
            with pytest.raises(UserError, match="recipients"):
                await store.admin("policy.reload")
            assert (await store.admin("policy.show"))["version"] == version
            assert (await store.admin("policy.show", version=before["version"])) == before
            store.process.reload()
            await store.admin("queue.summary")  # runs in the same thread, so the reload is over
            assert len(store.pushed) == 1
            (folder / "gateway.toml").write_text("[limits]\nrecipients = 300\n")
            store.process.reload()
            await until(lambda: len(store.pushed) == 2)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("no.such", {}),
        ("queue.show", {}),
        ("queue.list", {"nonsense": 1}),
        ("queue.list", {"limit": 0}),
        ("queue.list", {"state": "lost"}),
        ("queue.list", {"after": "x"}),
    ],
)
def test_wrong_commands_say_so(settings: Settings, command: str, arguments: dict[str, object]) -> None:
    async def run() -> None:
        async with running(settings) as store:
            with pytest.raises(UserError):
                await store.call(Admin(command, arguments))

    asyncio.run(run())


def test_unknown_messages_are_not_found(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            for command in ("trace", "queue.show", "queue.retry", "queue.delete"):
                with pytest.raises(NotFoundError):
                    await store.admin(command, id="0" * 16)

    asyncio.run(run())


async def bob_is_delivered(store: Store, queue_id: str) -> bool:
    (timeline,) = await store.admin("trace", id=queue_id)
    return "delivered" in [line["kind"] for line in timeline["events"]]


def test_what_leaves_is_leased_to_the_relay_and_recorded(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings, "relay") as store:
            given = entry(*to_bob(store, outside("x@else.example"), outside("y@other.example")))
            await store.commit(given)
            await until(lambda: RelayWork() in store.pushed)
            leased = await store.call(Lease("relay-1", 10, 60.0, ("other.example",)))
            assert isinstance(leased, Leased)
            (work,) = leased.work
            assert (work.destination, work.number, work.position) == ("else.example", 1, 1)
            assert work.envelope == given.envelope
            assert work.inline == given.prefix + (given.inline or b"")
            relayed = Outcome(State.RELAYED, "taken", 250, "2.0.0")
            facts = {"host": "mx.else.example"}
            await store.call(Record("relay-1", (Ended(work.message, work.n, relayed, facts),)))
            (timeline,) = await store.admin("trace", id=given.envelope.queue_id)
            (line,) = [line for line in timeline["events"] if line["kind"] == "relayed"]
            assert (line["recipient"], line["facts"]["host"]) == ("x@else.example", "mx.else.example")
            await until(lambda: bob_is_delivered(store, given.envelope.queue_id))
            (row,) = (await store.admin("queue.list"))["rows"]
            assert (row["forward_path"], row["attempts"]) == ("y@other.example", 0)

    asyncio.run(run())


def test_an_outcome_counts_for_its_own_message_only(settings: Settings) -> None:
    """One that was kept over a restart may meet a restored spool, where another message has the row."""

    async def run() -> None:
        async with running(settings, "relay") as store:
            given = entry(outside("x@else.example"))
            await store.commit(given)
            leased = await store.call(Lease("relay-1", 10, 60.0))
            assert isinstance(leased, Leased)
            (work,) = leased.work
            relayed = Outcome(State.RELAYED, "taken", 250, "2.0.0")
            await store.call(Record("relay-2", (Ended(work.message, work.n, relayed, queue_id="another"),)))
            assert len((await store.admin("queue.list"))["rows"]) == 1
            mine = Ended(work.message, work.n, relayed, queue_id=given.envelope.queue_id)
            await store.call(Record("relay-2", (mine, mine)))
            assert not (await store.admin("queue.list"))["rows"]

    asyncio.run(run())


def test_a_new_relay_gets_at_once_what_the_one_before_held(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings, "relay") as store:
            await store.commit(entry(outside("x@else.example")))
            for holder, number in (("relay-1", 1), ("relay-2", 2)):
                leased = await store.call(Lease(holder, 10, 3600.0))
                assert isinstance(leased, Leased)
                assert [work.number for work in leased.work] == [number]
            leased = await store.call(Lease("relay-2", 10, 3600.0))
            assert isinstance(leased, Leased) and not leased.work, "its own leases stay"

    asyncio.run(run())


def test_a_large_message_is_leased_as_a_file(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings, "relay") as store:
            given = staged(settings.staging_dir / "m", b"large" * 50_000, outside("x@else.example"))
            await store.commit(given)
            leased = await store.call(Lease("relay-1", 10, 60.0))
            assert isinstance(leased, Leased)
            (work,) = leased.work
            assert work.inline is None
            path = Path(work.file)
            assert path.read_bytes() == given.prefix + b"large" * 50_000
            relayed = Outcome(State.RELAYED, "taken", 250, "2.0.0")
            await store.call(Record("relay-1", (Ended(work.message, work.n, relayed),)))
            await until(lambda: not path.exists())

    asyncio.run(run())


def test_a_restart_takes_up_what_was_left(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            aside = store.maildir.with_name("aside")
            store.maildir.rename(aside)
            given = entry(*to_bob(store))
            await store.commit(given)
            maildir = store.maildir
        aside.rename(maildir)
        async with running(settings) as store:
            await store.admin("queue.retry", id=given.envelope.queue_id)
            assert len(await store.until_delivered(1)) == 1

    asyncio.run(run())


def test_a_mailbox_nobody_knows_is_tried_again(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            given = entry(local("x@acme.example", MailboxId("no such id")))
            await store.commit(given)

            async def is_deferred() -> bool:
                rows = (await store.admin("queue.list"))["rows"]
                return bool(rows and rows[0]["reason"])

            await until(is_deferred)

    asyncio.run(run())
