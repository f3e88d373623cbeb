"""What people do to waiting mail stands in the audit log of its tenant, without addresses of the mail."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mailgate.ipc.calls import Lease, Leased
from mailgate.model.envelope import TenantName
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.settings import Settings
from mailgate.spool.queue import Moved
from mailgate.store.commands import catalogue, offline
from mailgate.store.commands.on_spool.desk import Desk, noted_before
from tests.queue.making import submission
from tests.queue.test_quarantine import inspector, quarantine
from tests.store.running import Store, running

READING = {
    "queue.list",
    "queue.show",
    "queue.summary",
    "quarantine.list",
    "quarantine.show",
    "inspection.report",
    "dmarc.summary",
    "transport.report",
    "trace",
    "policy.show",
    "settings.show",
    "clock.show",
}
CHANGES = [
    "queue.hold",
    "queue.release",
    "queue.retry",
    "queue.hold-chosen",
    "queue.release-chosen",
    "queue.retry-chosen",
    "queue.delete-chosen",
    "queue.delete",
]


async def entries(store: Store, tenant: str = "acme") -> list[dict[str, object]]:
    listed: list[dict[str, object]] = await store.admin("audit.list", tenant=tenant, limit=1000)
    return listed


def test_each_change_of_waiting_mail_leaves_one_entry(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store:
            first, second = submission(), submission()
            for command in CHANGES:
                given = second if command == "queue.delete" else first
                if command in ("queue.hold", "queue.delete"):
                    await store.commit(given)
                before = await entries(store)
                about = {"tenant": "acme"} if command.endswith("-chosen") else {"id": given.envelope.queue_id}
                await store.admin(command, reason="because", **about)
                (entry,) = (await entries(store))[len(before) :]
                assert (entry["action"], entry["reason"]) == (command, "because")
                assert given.envelope.queue_id in json.dumps(entry)
            assert "far.example" not in json.dumps(await entries(store))
            assert (await store.admin("audit.verify", tenant="acme"))["faults"] == []
            before = await entries(store)
            for command in ("queue.delete", "queue.release"):
                with pytest.raises(NotFoundError):
                    await store.admin(command, id=second.envelope.queue_id)
            await store.admin("queue.hold-chosen", tenant="acme")
            assert await entries(store) == before

    asyncio.run(run())


@pytest.mark.parametrize("is_chosen", [False, True])
def test_what_is_busy_is_not_said_to_be_deleted(acme: Settings, is_chosen: bool) -> None:
    given = submission()

    async def run() -> None:
        async with running(acme) as store:
            await store.commit(given)
            leased = await store.call(Lease("relay", 10, 60.0))
            assert isinstance(leased, Leased) and len(leased.work) == 1
            before = await entries(store)
            if is_chosen:
                found = await store.admin("queue.delete-chosen", tenant="acme")
                assert (found["changed"], found["busy"]) == (0, 1)
            else:
                found = await store.admin("queue.delete", id=given.envelope.queue_id)
                assert (found["changed"], found["busy"]) == ([], ["kim@far.example"])
            assert await entries(store) == before

    asyncio.run(run())


def test_an_entry_that_came_to_nothing_is_followed_by_one_that_says_so() -> None:
    noted: list[Any] = []
    desk = SimpleNamespace(note=lambda *told: noted.append(told[3]))

    def refused() -> Moved:
        raise ConflictError("q1 has not been scanned yet")

    note = partial(noted_before, cast(Desk, desk), TenantName("acme"), "queue.delete", "q1")
    assert note(lambda: Moved(("a@b.example",), ())).changed
    assert noted == []
    note(lambda: Moved((), ("a@b.example",)))
    with pytest.raises(ConflictError):
        note(refused)
    assert noted == [
        {"not_done": "under an attempt", "recipients": 1},
        {"not_done": "q1 has not been scanned yet"},
    ]


def test_so_does_what_leaves_the_quarantine(acme: Settings) -> None:
    alone = acme.model_copy(update={"inspectors": 1})

    async def run() -> None:
        async with running(alone) as store:
            with inspector(alone):
                for command in ("release", "delete"):
                    name = await quarantine(store)
                    before = await entries(store)
                    await store.admin(f"quarantine.{command}", id=name, tenant="acme")
                    (entry,) = (await entries(store))[len(before) :]
                    assert (entry["action"], entry["object"]) == (f"quarantine.{command}", name)

    asyncio.run(run())


def test_a_policy_that_comes_into_force_is_noted_for_the_gateway(acme: Settings, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "gateway.toml").write_text("")
    given = acme.model_copy(update={"policy_dir": policies})

    async def run() -> None:
        async with running(given) as store:
            before = await entries(store, "")
            await store.admin("policy.reload")
            assert await entries(store, "") == before, "nothing changed"
            with (policies / "gateway.toml").open("a") as file:
                file.write("\n# more\n[retention]\naudit_days = 30\n")
            version = await store.admin("policy.reload")
            (entry,) = (await entries(store, ""))[len(before) :]
            assert (entry["action"], entry["object"]) == ("policy.reload", version)
            told = [each for each in await entries(store) if each["action"] == "policy.change"]
            assert [(each["object"], each["after"]["changed"]) for each in told] == [  # type: ignore[index]
                (version, {"retention.audit_days": {"before": 365, "after": 30}})
            ]
            assert str(told[0]["actor"]).startswith("account ")
            store.process.reload()
            await store.admin("policy.reload")
            assert len([each for each in await entries(store) if each["action"] == "policy.change"]) == 1

    asyncio.run(run())


def test_every_command_on_the_spool_is_known_to_change_something_or_not() -> None:
    tested = {*CHANGES, "quarantine.release", "quarantine.delete", "policy.reload"}
    tested |= {"tenant.remove", "mailbox.erase", "clock.confirm"}  # by test_offboarding, test_erasing, test_clock
    assert tested | READING == catalogue.ON_SPOOL
    assert not tested & READING


def test_who_did_it_without_a_gateway(acme: Settings) -> None:
    listed = offline.run_alone(acme, "audit.list", {"tenant": "acme"})
    assert [entry["action"] for entry in listed] == ["user.add"]
    assert listed[0]["actor"].startswith("account ")
