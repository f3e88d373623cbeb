"""The real relay process in the event loop of a test, with a store that only hands out work and notes the outcomes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from mailgate.ipc.calls import (
    Answer,
    Done,
    Ended,
    GetSigningKeys,
    Hello,
    Lease,
    Leased,
    Push,
    Record,
    RelayWork,
    Request,
    Resolve,
    Resolved,
    SigningKeysFound,
    Welcome,
    Work,
)
from mailgate.ipc.frames import Peer
from mailgate.model.dns import Answer as DnsAnswer
from mailgate.model.dns import Mx, Resolver, Status, Tlsa
from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName
from mailgate.model.errors import UnavailableError
from mailgate.policy.schema import GatewayPolicy, built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.relay.process import RelayProcess
from mailgate.relay.timeouts import Timeouts
from mailgate.settings import Settings

QUICK = Timeouts(
    connect=0.5, stagger=0.05, greeting=0.5, hello=0.5, tls=0.5, auth=0.5, mail=0.5, rcpt=0.5, data_start=0.5,
    data_block=0.5, data_end=0.5, quit=0.1, delivery=30.0,
)  # fmt: skip
MESSAGE = b"From: bob@acme.example\r\nSubject: hello\r\n\r\nHello.\r\n.dotted\r\n"


class FakeNames(Resolver):
    """Answers from `records` by (name, type); what is not there is NXDOMAIN, insecure unless `is_secure`."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], DnsAnswer[Any]] = {}
        self.is_secure = False

    def host(self, domain: str, *hosts: str, address: str = "127.0.0.1") -> None:
        """`hosts` in the order of their preference, all at `address`."""
        self.put(domain, "MX", *(Mx(10 * at, host) for at, host in enumerate(hosts, 1)))
        for host in hosts:
            self.put(host, "A", address)

    def put(self, name: str, kind: str, *records: Any) -> None:
        self.records[name, kind] = DnsAnswer(Status.FOUND, records, self.is_secure, name)

    def fail(self, name: str, kind: str, status: Status = Status.FAILED) -> None:
        self.records[name, kind] = DnsAnswer(status, reason="SERVFAIL")

    def _find(self, name: str, kind: str) -> DnsAnswer[Any]:
        found = self.records.get((name, kind))
        if found is not None:
            return found
        is_there = any(known == name for known, _ in self.records)
        return DnsAnswer(Status.NO_DATA if is_there else Status.NXDOMAIN, is_secure=self.is_secure)

    async def mx(self, name: str) -> DnsAnswer[Mx]:
        return self._find(name, "MX")

    async def a(self, name: str) -> DnsAnswer[str]:
        return self._find(name, "A")

    async def aaaa(self, name: str) -> DnsAnswer[str]:
        return self._find(name, "AAAA")

    async def tlsa(self, name: str) -> DnsAnswer[Tlsa]:
        return self._find(name, "TLSA")

    async def txt(self, name: str) -> DnsAnswer[str]:
        return self._find(name, "TXT")


class FakeStore:
    """Hands out `works` once each, in order; `ended` is what was recorded. `routed`: the tenants of domains whose
    mail goes to a server of theirs."""

    def __init__(
        self, policy: dict[str, Any], hosted: Sequence[str] = (), routed: Mapping[str, str] | None = None
    ) -> None:
        self.works: list[Work] = []
        self.ended: dict[tuple[int, int], Ended] = {}
        self.records = 0
        self.leases = 0
        self.is_stopping = False
        self._hosted = hosted
        self._routed = routed or {}
        self._numbers = iter(range(1, 1_000_000))
        self._peers: set[Peer] = set()
        self._changed = asyncio.Condition()
        gateway = GatewayPolicy.model_validate(policy)
        self._snapshot = Snapshot(built_in=built_in(10_000_000), gateway=gateway, tenants={})

    async def handle(self, request: Request, peer: Peer) -> Answer:
        match request:
            case Hello():
                return Welcome("boot", self._snapshot.encode())
            case Resolve() if self.is_stopping:
                raise UnavailableError("the store is stopping")
            case Resolve(domain=domain) if domain in self._routed:
                return Resolved("routed", TenantName(self._routed[domain]))
            case Resolve(domain=domain):
                kind: Literal["mailbox", "foreign"] = "mailbox" if domain in self._hosted else "foreign"
                return Resolved(kind)
            case Lease(limit=limit, excluded=excluded):
                self.leases += 1
                free = [work for work in self.works if work.destination not in excluded][:limit]
                self.works = [work for work in self.works if work not in free]
                return Leased(tuple(free), time.time() if self.works else None)
            case Record(ended=ended):
                self.records += 1
                async with self._changed:
                    self.ended |= {(each.message, each.n): each for each in ended}
                    self._changed.notify_all()
                return Done()
            case GetSigningKeys():
                return SigningKeysFound(())
        raise AssertionError(f"unexpected {request}")

    def add(
        self, *recipients: str, message: bytes = MESSAGE, tenant: str = "acme", attempt: int = 1, **envelope: Any
    ) -> list[tuple[int, int]]:
        """One message, `attempt` 1 for the first; the keys of its recipients in `ended`."""
        number = next(self._numbers)
        listed = tuple(each if isinstance(each, Recipient) else Recipient(each) for each in recipients)
        made = Envelope(
            queue_id=QueueId(f"q{number:015d}"),
            tenant=TenantName(tenant),
            direction=Direction.OUTBOUND,
            reverse_path=envelope.pop("reverse_path", "bob@acme.example"),
            recipients=listed,
            client=Client("127.0.0.1"),
            received_at=time.time(),
            **envelope,
        )
        for n, recipient in enumerate(listed):
            domain = recipient.forward_path.rpartition("@")[2]
            self.works.append(Work(number, n, n, attempt, domain, time.time() + 1e6, made, len(message), message))
        self.push(RelayWork())
        return [(number, n) for n in range(len(listed))]

    def push(self, news: Push) -> None:
        for peer in self._peers:
            peer.push(news)

    async def outcome(self, key: tuple[int, int], seconds: float = 20.0) -> Ended:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: key in self.ended)
        return self.ended[key]


class Relay:
    def __init__(self, store: FakeStore, names: Resolver) -> None:
        self.store = store
        self.names = names

    async def send(self, *recipients: str | Recipient, **more: Any) -> list[Ended]:
        """One message; how it ended for each recipient."""
        return [await self.store.outcome(key) for key in self.store.add(*recipients, **more)]


@asynccontextmanager
async def relay(
    folder: Path,
    port: int,
    policy: dict[str, Any] | None = None,
    names: Resolver | None = None,
    timeouts: Timeouts = QUICK,
    hosted: Sequence[str] = (),
    routed: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> AsyncIterator[Relay]:
    """A running relay process; mail hosts are spoken to on `port`."""
    given = Settings(data_dir=folder, hostname="gateway.example", relay_port=port, **settings)
    given.run_dir.mkdir(parents=True, exist_ok=True)
    store = FakeStore(policy or {}, hosted, routed)
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: Peer(store.handle, store._peers), str(given.store_path)
    )
    found = names or FakeNames()
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(RelayProcess(given, timeouts, found, clock).run(ready.set, stop))
    try:
        waiter = asyncio.create_task(ready.wait())
        await asyncio.wait((running, waiter), return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), running.exception()
        yield Relay(store, found)
    finally:
        stop.set()
        await running
        server.close()
