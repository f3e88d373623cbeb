"""What people do to waiting mail stands in the audit log of its tenant, without addresses of the mail."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from mailgate.model.errors import NotFoundError
from mailgate.settings import Settings
from mailgate.store.commands import catalogue, offline
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
