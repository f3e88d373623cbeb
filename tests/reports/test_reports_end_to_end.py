"""Store and relay with a clock in the test's hand: mail comes, the day passes, the reports arrive, signed."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dkim
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from msgspec.structs import replace as replace_in

from mailgate.inspect.report_xml import read_report
from mailgate.ipc.report_calls import KeepReport, OwnReport
from mailgate.model.decision import Action
from mailgate.model.envelope import Direction, Recipient, TenantName
from mailgate.model.received_report import ReportedMail
from mailgate.relay.process import RelayProcess
from mailgate.senderauth import aggregate
from mailgate.settings import Settings
from mailgate.spool.coverage import DAY, day_of
from tests.relay.harness import QUICK, FakeNames
from tests.reports.office import parsed
from tests.senderauth.test_check import KEY, SPOOF, check, signed
from tests.senderauth.zones import Zone
from tests.spool.making import NOW, entry
from tests.store.running import Store, add_people, running, until
from tests.support.clock import ManualClock
from tests.support.ports import free_port

WANTED = "v=DMARC1; p=reject; rua=mailto:r@bank.example"


class Sink:
    """Everybody's mail host."""

    def __init__(self) -> None:
        self.received: dict[str, bytes] = {}
        self.reverse_paths: set[str | None] = set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert envelope.original_content is not None
        self.reverse_paths.add(envelope.mail_from)
        self.received[envelope.rcpt_tos[0]] = envelope.original_content
        return "250 OK"


@pytest.fixture
def sink() -> Any:
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def settings(tmp_path: Path, sink: Controller) -> Settings:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "gateway.toml").write_text("[dmarc_reports]\nsend = true\n")
    made = Settings(
        data_dir=tmp_path / "data", policy_dir=policies, hostname="mx.acme.example", relay_port=sink.port, mx_listen=()
    )
    made.run_dir.mkdir(parents=True)
    made.staging_dir.mkdir(parents=True)
    add_people(made)
    return made


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgate.relay.process.REPORT_SECONDS", 0.05)
    monkeypatch.setattr("mailgate.relay.process.SWEEP_SECONDS", 0.05)


@asynccontextmanager
async def both(settings: Settings, names: FakeNames, clock: ManualClock) -> AsyncIterator[Store]:
    async with running(settings, clock=clock) as store:
        stop = asyncio.Event()
        relay = asyncio.create_task(RelayProcess(settings, QUICK, names, clock).run(lambda: None, stop))
        try:
            yield store
        finally:
            stop.set()
            await relay


async def publish_keys(store: Store, names: FakeNames) -> None:
    for key in await store.admin("dkim.create", domain="acme.example"):
        names.put(f"{key['selector']}._domainkey.acme.example", "TXT", key["record"])


def internet() -> FakeNames:
    names = FakeNames()
    for domain in ("bank.example", "hop.example"):
        names.host(domain, f"mx.{domain}")
    names.put("_dmarc.bank.example", "TXT", WANTED)
    names.put("_smtp._tls.hop.example", "TXT", "v=TLSRPTv1; rua=mailto:tls@hop.example")
    return names


def verifies(raw: bytes, names: FakeNames) -> bool:
    """dkimpy's own verifier is the witness."""

    def txt(name: bytes, timeout: int = 5) -> bytes:
        return "".join(names.records[name.decode().rstrip("."), "TXT"].records).encode()

    return bool(dkim.verify(raw, dnsfunc=txt))


async def mail_of_a_day(store: Store, now: float) -> None:
    """A spoofed message, one that passes, and one that leaves."""
    zone = Zone({"_dmarc.bank.example TXT": [WANTED], "s._domainkey.bank.example TXT": [KEY.record]})
    for raw, action in ((SPOOF, Action.QUARANTINE), (signed(b"bank.example"), Action.ACCEPT)):
        seen = aggregate.seen(await asyncio.to_thread(check, raw, zone), action)
        inbound = entry(Recipient("bob@acme.example", (store.mailbox,)), at=now)
        await store.commit(replace_in(inbound, seen=seen))
    await store.commit(entry(Recipient("eve@hop.example"), direction=Direction.OUTBOUND, at=now))


def test_the_day_passes_and_the_reports_arrive(settings: Settings, sink: Controller) -> None:
    names, clock, received = internet(), ManualClock(time.time() - 5 * DAY), sink.handler.received
    day = day_of(clock())

    async def run() -> None:
        async with both(settings, names, clock) as store:
            await publish_keys(store, names)
            await mail_of_a_day(store, clock())
            await until(lambda: "eve@hop.example" in received)
            await until(lambda: any((settings.data_dir / "transport" / "tls-reports").glob("*.json")))
            clock.advance(1.5 * DAY)
            await until(lambda: {"r@bank.example", "tls@hop.example"} <= set(received))

    asyncio.run(run())
    about_mail, about_tls = (parsed(received[address]) for address in ("r@bank.example", "tls@hop.example"))
    for address, report in (("r@bank.example", about_mail), ("tls@hop.example", about_tls)):
        assert verifies(received[address], names)
        assert report["From"] == "postmaster@acme.example"
    assert sink.handler.reverse_paths == {"ann@sender.example", "<>"}, "reports go by the null reverse-path"
    _, attached = about_mail.iter_parts()
    found = read_report(gzip.decompress(attached.get_content()))
    assert (found.reporter, found.domain, day_of(found.begin)) == ("acme.example", "bank.example", day)
    assert set(found.mails) == {
        ReportedMail("192.0.2.1", "quarantine", dkim=False, spf=False, messages=1),
        ReportedMail("192.0.2.1", "pass", dkim=True, spf=False, messages=1),
    }
    _, attached = about_tls.iter_parts()
    policies = json.loads(gzip.decompress(attached.get_content()))["policies"]
    assert policies[0]["policy"]["policy-domain"] == "hop.example"
    later = (settings.data_dir / "transport" / "tls-reports").glob("*.json")
    assert not any("hop.example" in path.read_text() for path in later), "reports beget no reports"
    assert b"tls-report-submitter" in received["tls@hop.example"].partition(b"\r\n\r\n")[0].lower()


def test_a_report_is_kept_once(settings: Settings) -> None:
    """A relay that dies between the keeping and its own notes asks for it again."""
    mail = OwnReport("r@hop.example", b"From: postmaster@acme.example\r\n\r\nhello\r\n", "<1@acme.example>")
    request = KeepReport("tls", day_of(NOW), TenantName("acme"), "hop.example", (mail,))

    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            for _ in range(2):
                await store.call(request)
            (waiting,) = (await store.admin("queue.list"))["rows"]
            assert "r@hop.example" in str(waiting)
            (timeline,) = await store.admin("trace", id=waiting["queue_id"])
            assert "an aggregate report (tls) about hop.example" in str(timeline)
        async with running(settings, clock=ManualClock(NOW)) as store:
            await store.call(request)
            assert len((await store.admin("queue.list"))["rows"]) == 1

    asyncio.run(run())


def test_what_can_not_be_signed_waits(settings: Settings, sink: Controller) -> None:
    """A key that goes before the report does: it never leaves unsigned."""
    names, clock = internet(), ManualClock(time.time() - 5 * DAY)

    async def run() -> None:
        async with both(settings, names, clock) as store:
            await publish_keys(store, names)
            await mail_of_a_day(store, clock())
            mail = OwnReport("r@bank.example", b"From: postmaster@acme.example\r\n\r\nhello\r\n", "<1@acme.example>")
            for name in [name for name, kind in names.records if "_domainkey" in name]:
                del names.records[name, "TXT"]
            await store.call(KeepReport("dmarc", day_of(clock()), TenantName("acme"), "bank.example", (mail,)))

            async def is_deferred() -> bool:
                rows = (await store.admin("queue.list"))["rows"]
                return any("DKIM" in row["reason"] for row in rows)

            await until(is_deferred)
            assert "r@bank.example" not in sink.handler.received

    asyncio.run(run())
