"""A session on a loopback socket with a store and inspectors that the test holds in its hand."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from mailgate.edge.inspectors import Inspectors
from mailgate.edge.limits import SessionLimits
from mailgate.edge.listener import Edge, Listener
from mailgate.edge.lookups import WatchedResolver
from mailgate.edge.session import Session
from mailgate.edge.staging import Staging
from mailgate.edge.store_client import StoreClient
from mailgate.edge.transaction import Surroundings
from mailgate.edge.turns import Presence, Share
from mailgate.edge.verify import Verifier
from mailgate.inspect.reports import read_reports
from mailgate.ipc.calls import Authenticated, NewEntry, Note, Resolved
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.address import POSTMASTER, Address
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.model.received_report import ReportReading
from mailgate.model.turned_away import TurnedAway
from mailgate.model.verdict import Inspection, PartReport, Verdict
from mailgate.policy.schema import GatewayPolicy, TenantPolicy
from mailgate.policy.snapshot import Snapshot
from tests.relay.harness import FakeNames
from tests.support.certificates import Issued

PEOPLE = {
    "bob@acme.example": ("acme", "m-bob"),
    "eve@acme.example": ("acme", "m-eve"),
    "kim@other.example": ("other", "m-kim"),
}
OWNERS = {
    "acme.example": "acme",
    "routed.acme.example": "acme",
    "other.example": "other",
    "routed.other.example": "other",
}


@dataclass
class FakeStore:
    """Knows PEOPLE (password `secret`), keeps what is committed; `fault` is raised by every call while it is set."""

    kept: list[NewEntry] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    turned_away: list[TurnedAway] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    forwards: dict[str, Resolved] = field(default_factory=dict)
    fault: Exception | None = None
    commit_gate: asyncio.Event | None = None
    generation: int = 0
    ended: set[str] = field(default_factory=set)

    async def renew(self, account: str, ticket: str) -> Authenticated:
        """`ended` are those whose login holds no more."""
        if self.fault:
            raise self.fault
        if account in self.ended:
            return Authenticated(False)
        return Authenticated(True, TenantName(PEOPLE[account][0]), account, (account,), ticket=ticket)

    async def resolve(self, address: Address) -> Resolved:
        if self.fault:
            raise self.fault
        if address is POSTMASTER or (address.local in ("", "postmaster") and address.domain in OWNERS):
            return Resolved("mailbox", TenantName(OWNERS.get(address.domain, "acme")), (MailboxId("m-bob"),))
        if str(address) in self.forwards:
            return self.forwards[str(address)]
        found = PEOPLE.get(str(address))
        if found:
            return Resolved("mailbox", TenantName(found[0]), (MailboxId(found[1]),))
        owner = OWNERS.get(address.domain)
        if owner is None:
            return Resolved("foreign")
        return Resolved("routed" if address.domain.startswith("routed.") else "unknown", TenantName(owner))

    async def authenticate(self, login: str, password: bytes, peer: str) -> Authenticated:
        if self.fault:
            raise self.fault
        if login in PEOPLE and password == b"secret":
            return Authenticated(True, TenantName(PEOPLE[login][0]), login, (login,))
        return Authenticated(False)

    async def release_own(self, account: str, local: str) -> bool:
        if self.fault:
            raise self.fault
        self.released.append((account, local))
        return True

    async def commit(self, entries: tuple[NewEntry, ...]) -> None:
        if self.commit_gate is not None:
            await self.commit_gate.wait()
        if self.fault:
            raise self.fault
        self.kept += entries
        for entry in entries:
            self.bodies.append(Path(entry.staged).read_bytes() if entry.staged else entry.inline or b"")

    async def keep_turned_away(self, turned_away: tuple[TurnedAway, ...]) -> None:
        if self.fault:
            raise self.fault
        self.turned_away += turned_away

    def note(self, note: Note) -> None:
        self.notes.append(note)


@dataclass
class FakeInspectors:
    """Finds EICAR-LIKE; `answer` replaces its inspection, `fault` is raised."""

    answer: Inspection | None = None
    fault: Exception | None = None
    gate: asyncio.Event | None = None

    async def inspect(
        self, staging: Staging, limits: InspectLimits, is_inbound: bool, share: Share, presence: Presence
    ) -> Inspection:
        if self.gate is not None:
            await self.gate.wait()
        if self.fault:
            raise self.fault
        verdict = Verdict.INFECTED if b"EICAR-LIKE" in staging.head(1 << 20) else Verdict.CLEAN
        part = PartReport("raw", "", "message/rfc822", "message/rfc822", staging.size, "", verdict, "Test.Virus")
        return self.answer or Inspection(parts=(part,))

    async def read_reports(self, staging: Staging, limits: InspectLimits, share: Share) -> ReportReading:
        """With the true reader."""
        if self.fault:
            raise self.fault
        return read_reports(staging.inline or b"")


class Client:
    """The other end: `await client.ask("NOOP", 250)` sends a line and checks the code of the one reply."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            if not line:
                return "closed"
            lines.append(line)
            if line[3:4] != "-":
                return "".join(lines)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, line: str | bytes, code: int | str) -> str:
        await self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        answer = await self.reply()
        assert answer.startswith(str(code)), f"{line!r}: {answer!r}, wanted {code}"
        return answer

    async def hello(self) -> None:
        assert (await self.reply()).startswith("220 ")
        await self.ask("EHLO client.example", 250)

    async def mail(self, body: bytes, code: int, *, sender: str = "a@b.example", to: str = "bob@acme.example") -> str:
        await self.ask(f"MAIL FROM:<{sender}>", 250)
        await self.ask(f"RCPT TO:<{to}>", 250)
        await self.ask("DATA", 354)
        return await self.ask(body + (b"." if body.endswith(b"\r\n") else b"\r\n."), code)

    async def start_tls(self, shown: Issued | None = None) -> None:
        """`shown`: the client's own certificate."""
        await self.ask("STARTTLS", 220)
        await self.handshake(shown)

    async def handshake(self, shown: Issued | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if shown is not None:
            context.load_cert_chain(shown.chain, shown.key)
        await self.writer.start_tls(context)

    async def log_in(self, login: str = "bob@acme.example") -> None:
        await self.hello()
        await self.start_tls()
        await self.ask("EHLO client.example", 250)
        await self.ask("AUTH LOGIN", 334)
        await self.ask(base64.b64encode(login.encode()), 334)
        await self.ask(base64.b64encode(b"secret"), 235)


@dataclass
class Stage:
    """What one test plays with."""

    store: FakeStore
    inspectors: FakeInspectors
    edge: Edge
    connect: Callable[[], Any]


@asynccontextmanager
async def stage(
    folder: Path,
    *,
    name: str = "mx",
    tls: ssl.SSLContext | None = None,
    policy: GatewayPolicy | None = None,
    tenants: dict[str, TenantPolicy] | None = None,
    clock: Callable[[], float] = time.monotonic,
    size_limit: int = 1 << 20,
    proxies: tuple[Any, ...] = (),
    resolver: WatchedResolver | None = None,
    **limits: Any,
) -> AsyncIterator[Stage]:
    store, inspectors = FakeStore(), FakeInspectors()
    snapshot = Snapshot(built_in=GatewayPolicy(), gateway=policy or GatewayPolicy(), tenants=tenants or {})
    session_limits = replace(SessionLimits(), **limits)
    around = Surroundings(
        hostname="mx.acme.example",
        store=cast(StoreClient, store),
        inspectors=cast(Inspectors, inspectors),
        policy=lambda: snapshot,
        limits=lambda: session_limits,
        resolver=resolver,
    )
    verifier = Verifier(FakeNames(), "mx.acme.example", clock)
    edge = Edge(around, lambda: size_limit, folder, verifier)
    listener = Listener(name, name != "mx", tls, proxies)
    server = await asyncio.get_running_loop().create_server(lambda: Session(edge, listener), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients: list[Client] = []

    async def connect(source: str = "127.0.0.1") -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))))
        return clients[-1]

    try:
        yield Stage(store, inspectors, edge, connect)
    finally:
        for client in clients:
            client.writer.close()
        server.close()
        await verifier.close()


def play(part: Callable[[Stage, Client], Awaitable[None]], folder: Path, **options: object) -> None:
    """Runs one dialogue: the stage is set, one client is connected."""

    async def run() -> None:
        async with asyncio.timeout(30), stage(folder, **options) as on:  # type: ignore[arg-type]
            await part(on, await on.connect())

    asyncio.run(run())
