"""How long the lists take with a million recipients in the queue: `python -m bench.queue_commands [ROWS]`.

The spool is generated once and kept under build/; delete it after a change of the schema."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailgate.ipc.calls import NewEntry
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Client, Direction, Envelope, Recipient, TenantName, queue_id
from mailgate.policy.schema import built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.spool.content import ContentFolder, inline_content
from mailgate.spool.listing import Listing
from mailgate.spool.queue import Accepted
from mailgate.spool.rows import rows_of
from mailgate.spool.schema import open_database
from mailgate.spool.sqlite import SqliteSpool
from mailgate.store.commands.catalogue import on_spool
from mailgate.store.commands.on_spool.desk import Desk

START = 1_800_000_000.0
GROUP = 5_000
TENANTS, DESTINATIONS = 50, 2_000


def entry(n: int, chance: random.Random) -> NewEntry:
    at = START + n / 10
    destination = int(DESTINATIONS * chance.random() ** 2)
    envelope = Envelope(
        queue_id=queue_id(at, n),
        tenant=TenantName(f"tenant{chance.randrange(TENANTS)}"),
        direction=Direction.OUTBOUND,
        reverse_path=f"user{chance.randrange(1000)}@sender.example",
        recipients=(Recipient(f"person{n}@host{destination}.example"),),
        client=Client("192.0.2.1", account="user"),
        received_at=at,
        message_id=f"<{n}@sender.example>",
    )
    action = Action.QUARANTINE if n % 20 == 0 else Action.ACCEPT
    return NewEntry(
        envelope, Decision(action, "bench", f"rule {n % 7}", "v1"), b"", b"Subject: x\r\n\r\n", body_size=14
    )


def generate(path: Path, count: int) -> None:
    chance = random.Random(1)
    spool = SqliteSpool(path)
    for start in range(0, count, GROUP):
        spool.begin(durable=False)
        for n in range(start, min(start + GROUP, count)):
            given = entry(n, chance)
            content = inline_content(b"", given.inline or b"", ())
            spool.keep(Accepted(given, content, rows_of(given)), START, "bench", 0)
        spool.commit()
        spool.checkpoint()
    spool.close()
    connection = open_database(path)
    connection.execute(
        "UPDATE recipient SET attempts = 3, reply_code = 450, next_attempt_at = ?, "
        "reason = 'host said: 450 4.2.' || (message * 7919 % 20) || ' try later' WHERE state = 'queued'",
        (START + 7_200,),
    )
    connection.close()


def measure(what: str, run: Callable[[], Any]) -> None:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        found = run()
        times.append(1000 * (time.perf_counter() - begin))
    rows = len(found["rows"]) if isinstance(found, dict) and "rows" in found else 1
    print(f"{what:58} first {times[0]:8.1f} ms   median {sorted(times)[2]:8.1f} ms   {rows} rows")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    folder = Path("build") / f"queue-{count}"
    path = folder / "spool.db"
    if not path.exists():
        folder.mkdir(parents=True)
        begin = time.perf_counter()
        generate(path, count)
        print(f"generated {count} recipients in {time.perf_counter() - begin:.0f} s")
    snapshot = Snapshot(built_in=built_in(50 << 20), gateway=built_in(50 << 20), tenants={})
    spool = SqliteSpool(path)
    desk = Desk(
        write=lambda apply, synced=None: apply(spool),
        listing=Listing(path),
        contents=ContentFolder(folder),
        clock=lambda: START + 86_400,
        wake=lambda: None,
        policy=lambda: snapshot,
        reload=lambda: snapshot,
        note=lambda *_: None,
    )
    run = on_spool(desk)
    middle = f"{count // 2}.0"
    list_, quarantine = run["queue.list"], run["quarantine.list"]
    measure("first page", lambda: list_())
    measure("a page in the middle", lambda: list_(after=middle))
    measure("by tenant", lambda: list_(tenant="tenant7", after=middle))
    measure("by destination", lambda: list_(destination="host1999.example"))
    measure("by sender", lambda: list_(sender="user7@sender.example"))
    measure(
        "by tenant, destination and state", lambda: list_(tenant="tenant7", destination="host3.example", state="queued")
    )
    measure("by age", lambda: list_(older_than=3600.0, after=middle))
    measure("by a reason that is common", lambda: list_(why="4.2.7"))
    measure("by a reason that nothing has (one step)", lambda: list_(why="nonsense"))
    measure("quarantine of a tenant", lambda: quarantine(tenant="tenant7"))
    measure(
        "quarantine of a tenant, by recipient (one step)", lambda: quarantine(tenant="tenant7", recipient="x@y.example")
    )
    measure("summary by state", lambda: run["queue.summary"]())
    measure("summary by destination and reason", lambda: run["queue.summary"](by_destination=True))
    measure("the same of one tenant", lambda: run["queue.summary"](tenant="tenant7", by_destination=True))


if __name__ == "__main__":
    main()
