"""An operator reads subject and file names for a reason only, and the tenant can see that it was so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from msgspec.structs import replace

from mailgate.model.decision import Action
from mailgate.model.envelope import Recipient
from mailgate.model.verdict import Inspection, PartReport, Verdict
from mailgate.settings import Settings
from mailgate.store.commands.on_spool.masking import masked_header, masked_inspection
from tests.queue.test_mail_audit import entries
from tests.queue.test_quarantine import BOB
from tests.spool.making import entry
from tests.store.running import Store, running
from tests.store.test_callers import give, line, log_in

NAME = "Dismissal of Ann.docx"
BODY = b"From: Ann <ann@sender.example>\r\nSubject: secret plan\r\nX-Note: private words\r\n\r\nhi\r\n"
PART = PartReport("1", NAME, "a/b", "a/b", 5, "", Verdict.CLEAN, detail=f"in {NAME}", names=(NAME, "other"))
WORDS = ("secret plan", "private words", "Dismissal")


async def quarantine(store: Store) -> str:
    given = entry(Recipient(BOB, (store.mailbox,)), action=Action.QUARANTINE, body=BODY)
    given = replace(given, inspection=Inspection(parts=(PART,)))
    await store.commit(given)
    return given.envelope.queue_id


def found(told: Any) -> list[str]:
    return [word for word in WORDS if word in json.dumps(told)]


def test_names_are_masked_until_there_is_a_reason(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store:
            name = await quarantine(store)
            before = await entries(store)
            shown = await store.admin("quarantine.show", id=name, tenant="acme")
            assert found(shown) == []
            assert ["From", "Ann <ann@sender.example>"] in shown["header"]
            assert shown["inspection"]["parts"][0]["name"] == "(masked).docx"
            assert found(await store.admin("queue.show", id=name)) == []
            assert await entries(store) == before, "what is masked is no reading"
            assert found(await store.admin("quarantine.show", id=name, tenant="acme", reason="r1")) == list(WORDS)
            assert found(await store.admin("queue.show", id=name, reason="r2")) == ["Dismissal"]
            assert found(await store.admin("trace", id=name)) == ["Dismissal"]
            read = [(each["action"], each["object"], each["reason"]) for each in (await entries(store))[len(before) :]]
            assert read == [("quarantine.show", name, "r1"), ("queue.show", name, "r2"), ("trace", name, "")]
            assert found(await entries(store)) == []

    asyncio.run(run())


def test_who_has_the_mailbox_reads_without_an_entry(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store:
            name = await quarantine(store)
            before = await entries(store)
            async with line(store) as calls:
                await log_in(calls)
                assert found(await give(calls, "quarantine.show", id=name, tenant="acme")) == list(WORDS)
                assert found(await give(calls, "trace", id=name)) == ["Dismissal"]
            assert await entries(store) == before

    asyncio.run(run())


def test_what_is_masked() -> None:
    assert masked_header([["SUBJECT", "x"], ["Date", "y"]]) == [["SUBJECT", "(masked)"], ["Date", "y"]]
    part = {"name": "a.b c", "names": ["a.b c", "x.EXE", ""], "detail": ""}
    (masked,) = masked_inspection({"parts": [part], "defects": [{"name": "d", "detail": "v"}]})["parts"]
    assert (masked["name"], masked["names"], masked["detail"]) == ("(masked)", ["", "(masked)", "(masked).EXE"], "")
