"""What the work in the background of the store needs of the rest of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from mailgate.ipc.calls import Resolved
from mailgate.policy.snapshot import Snapshot
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Listing
from mailgate.spool.queue import Recorded
from mailgate.store.keeping.reading import Reading
from mailgate.store.keeping.writer import Writer


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`resolve` looks an address up in the directory; `thread` is the one that may read the lists; `wake`:
    the queue has something to do; `clear` gets what is not needed any more."""

    hostname: str
    writer: Writer
    listing: Listing
    contents: ContentFolder
    reading: Reading
    resolve: Callable[[str, str], Awaitable[Resolved]]
    thread: Executor
    policy: Callable[[], Snapshot]
    clock: Callable[[], float]
    wake: Callable[[], None]
    clear: Callable[[Recorded], None]
