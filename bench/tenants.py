"""Many tenants: how long the start takes, and a question about a recipient, and how much memory the store needs.

    python -m bench.tenants [TENANTS]

10,000 of them, each with 10 users. The real gateway runs; the questions go through the store's socket as an edge asks
them, one at a time, without an edge's cache. Processor time stands beside the clock's: a busy machine shows in the
latter only."""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from mailgate.ipc.calls import Hello, Resolve, Resolved
from mailgate.ipc.frames import Calls, connect
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.ids import TenantId, new_tenant_id
from mailgate.tenancy.databases.models import DomainRow, TenantRow, TenantState
from mailgate.tenancy.databases.schema import REGISTRY
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.keys import KeyRing
from mailgate.tenancy.people import people
from mailgate.tenancy.registry import Registry, Tenant
from tests.support import processes
from tests.support.gateway import Gateway, short_folder
from tests.support.store_key import key_of

USERS = 10
QUESTIONS = 50_000
BATCH = 1_000
PASSWORD = "correct horse battery staple"


def name_of(number: int) -> str:
    """All of one length, so that a database can be copied by replacing bytes."""
    return f"t{number:06d}"


def generate(data_dir: Path, count: int) -> None:
    """One tenant is made as administrators make it; the others are its copies with other names and ids."""
    directory = Directory(data_dir)
    first = directory.life.add(name_of(0), [f"{name_of(0)}.example"])
    with directory.changing(first.name) as work:
        for user in range(USERS):
            people.add_user(work, f"user{user}@{first.domains[0]}", PASSWORD)
    directory.close()
    database = Database(data_dir / "registry.db", REGISTRY)
    keys = KeyRing(Registry(database), data_dir / "master.key", may_be_made=False)
    original = (data_dir / "tenants" / first.id / "tenant.db").read_bytes()
    for start in range(1, count, BATCH):
        made = [(name_of(number), new_tenant_id()) for number in range(start, min(start + BATCH, count))]
        _register(database, keys, made)
        for name, tenant in made:
            _copy(data_dir, original, first, name, tenant)
    database.close()


def _register(database: Database, keys: KeyRing, made: Iterable[tuple[str, TenantId]]) -> None:
    now = time.time()
    with database.session() as session:
        for name, tenant in made:
            key = keys.new(tenant, now)
            session.add(TenantRow(id=tenant, name=name, state=TenantState.ACTIVE, key_id=key.id, created_at=now))
            session.flush()
            session.add_all([key, DomainRow(name=f"{name}.example", tenant_id=tenant, created_at=now)])


def _copy(data_dir: Path, original: bytes, first: Tenant, name: str, tenant: TenantId) -> None:
    """Names and ids of tenants come first in nothing that is sorted within a database, so the order stays."""
    folder = data_dir / "tenants" / tenant
    folder.mkdir()
    changed = original.replace(first.name.encode(), name.encode()).replace(first.id.encode(), tenant.encode())
    (folder / "tenant.db").write_bytes(changed)


@dataclass(frozen=True, slots=True)
class Asked:
    """Milliseconds: each question by the clock, and the store's processor time for one on average."""

    by_clock: list[float]
    processor: float

    def __str__(self) -> str:
        ordered = sorted(self.by_clock)
        median, tail = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
        clock = f"median {median:.3f} ms, 99 % {tail:.3f} ms, at most {ordered[-1]:.1f} ms"
        return f"{clock}; processor {self.processor:.3f} ms"


async def ask(calls: Calls, store: int, questions: list[Resolve]) -> Asked:
    by_clock = []
    before = processes.cpu_seconds(store)
    for question in questions:
        begin = time.perf_counter()
        answer = await calls.call(question)
        by_clock.append(1000 * (time.perf_counter() - begin))
        assert isinstance(answer, Resolved), answer
        assert answer.kind == "mailbox", answer
    return Asked(by_clock, 1000 * (processes.cpu_seconds(store) - before) / len(questions))


def questions_for(numbers: Iterable[int], chance: random.Random) -> list[Resolve]:
    return [Resolve(f"user{chance.randrange(USERS)}", f"{name_of(number)}.example") for number in numbers]


async def measure(gateway: Gateway, store: int, count: int) -> None:
    chance = random.Random(1)
    calls = await connect(gateway.data_dir / "run" / "store.sock", lambda push: None, lambda: None)
    await calls.call(Hello("edge", key_of(gateway.pid, "edge")))
    print(f"memory of the store at its start: {processes.resident_mib(store):.0f} MiB")
    each_once = chance.sample(range(count), count)
    print(f"first question about each of {count} tenants: {await ask(calls, store, questions_for(each_once, chance))}")
    print(f"memory of the store: {processes.resident_mib(store):.0f} MiB")
    anywhere = questions_for((chance.randrange(count) for _ in range(QUESTIONS)), chance)
    print(f"{QUESTIONS} questions anywhere after that: {await ask(calls, store, anywhere)}")
    print(f"memory of the store: {processes.resident_mib(store):.0f} MiB")
    calls.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    root = short_folder("mg-bench-")
    gateway = Gateway(root, f"unix:{root}/no-clamd.sock")
    try:
        gateway.data_dir.mkdir(mode=0o700)
        begin = time.perf_counter()
        generate(gateway.data_dir, count)
        print(f"{count} tenants with {USERS} users each made in {time.perf_counter() - begin:.0f} s")
        begin = time.perf_counter()
        gateway.start()
        seconds = time.perf_counter() - begin
        store = processes.by_role(gateway.pid)["store"][0]
        used = [processes.cpu_seconds(pid) for pid in (store, gateway.pid, *processes.children(gateway.pid))]
        print(f"start until ready: {seconds:.2f} s")
        print(f"processor time until then: {sum(used[1:]):.2f} s in all, {used[0]:.2f} s of it the store")
        uvloop.run(measure(gateway, store, count))
        gateway.stop()
    finally:
        gateway.kill()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
