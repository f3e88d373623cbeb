"""Keeps a message: its bytes, its recipients and the first attempts in one commit, before anybody is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from mailgate.ipc.calls import NewEntry
from mailgate.model.errors import UnavailableError, UserError
from mailgate.model.outcome import State
from mailgate.records.metrics import COMMITTED
from mailgate.spool.content import inline_content
from mailgate.spool.queue import Accepted, Attempt, Content, Selection, SpoolStore
from mailgate.spool.rows import rows_of
from mailgate.store.delivery.bounces import Bounces
from mailgate.store.delivery.local import Delivery
from mailgate.store.delivery.retries import LEASE_SECONDS
from mailgate.store.keeping.room import Room
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.acting import GATEWAY


class Committing:
    """Lives in the event loop. `holder` names this start of the store; `judge` says why the mail is to be held, empty
    where it is not; `tell_relay`: something for the relay may be due; `owes`: a sender is to be told something."""

    def __init__(
        self,
        around: Surroundings,
        delivery: Delivery,
        room: Room,
        holder: str,
        judge: Callable[[Sequence[NewEntry]], Awaitable[str]],
        tell_relay: Callable[[], None],
        owes: Callable[[], None],
        bounces: Bounces,
    ) -> None:
        self._around = around
        self._delivery = delivery
        self._room = room
        self._holder = holder
        self._judge = judge
        self._tell_relay = tell_relay
        self._owes = owes
        self._bounces = bounces
        self._pool = ThreadPoolExecutor(4, "content")

    async def commit(self, entries: tuple[NewEntry, ...]) -> None:
        """Returns once all of them are on stable storage. StorageFullError, UserError and UnavailableError: nothing is
        kept."""
        inline = sum(entry.body_size for entry in entries if entry.inline is not None)
        self._room.check(inline, sum(entry.body_size for entry in entries) - inline)
        self._bounces.take(entries)
        hold = await self._judge(entries)
        at_once = self._delivery.has_room and not hold
        accepted: list[Accepted] = []
        try:
            for entry in entries:
                accepted.append(Accepted(entry, await self._content_of(entry), rows_of(entry), at_once))
            attempts = await self._around.writer.do(lambda spool: self._keep(spool, accepted, hold))
        except Exception:  # not for a cancellation: the commit may be under way; an orphan is swept at the next start
            for kept in accepted:
                if kept.content.in_file:
                    self._around.contents.remove(kept.entry.envelope.queue_id, kept.content)
            raise
        COMMITTED.inc(len(entries))
        if attempts:
            self._delivery.submit(attempts)
        elif not at_once:
            self._around.wake()
        if any(row.state is State.QUARANTINED and row.notify for message in accepted for row in message.rows):
            self._owes()
        if any(not row.mailbox for message in accepted for row in message.rows):
            self._tell_relay()

    def _keep(self, spool: SpoolStore, accepted: list[Accepted], hold: str) -> list[Attempt]:
        """`hold`: why what would go on is held; empty where nothing is."""
        now = self._around.clock()
        attempts = [a for message in accepted for a in spool.keep(message, now, self._holder, LEASE_SECONDS)]
        for message in accepted:
            if hold and message.rows[0].state is State.QUEUED:
                selection = Selection(message.entry.envelope.queue_id, frozenset({State.QUEUED}))
                spool.move(selection, State.HELD, now, GATEWAY.name, hold)
        return attempts

    async def _content_of(self, entry: NewEntry) -> Content:
        """Small: in memory. Large: written and synced in the pool, where it holds up nobody."""
        try:
            if entry.inline is not None:
                return inline_content(entry.prefix, entry.inline, entry.cuts)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._around.contents.write, entry)
        except ValueError as error:
            raise UserError(f"{entry.envelope.queue_id}: {error}") from error
        except OSError as error:
            raise UnavailableError(f"{entry.envelope.queue_id}: staged content: {error}") from error

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
