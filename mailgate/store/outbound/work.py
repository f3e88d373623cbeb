"""What the relay process asks for: leases of recipients that leave, and the record of how their attempts ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailgate.ipc.calls import Done, Lease, Leased, Record, Work
from mailgate.model.outcome import State
from mailgate.spool.content import ContentFolder
from mailgate.spool.damage import DAMAGED
from mailgate.spool.queue import Attempt, Finished, Recorded, Route, SpoolStore
from mailgate.store.keeping.reading import note_damage
from mailgate.store.keeping.writer import Writer


class RelayWork:
    """`recorded` is called in the writer's thread once outcomes are durable; it clears away what they set free."""

    def __init__(
        self,
        writer: Writer,
        contents: ContentFolder,
        clock: Callable[[], float],
        recorded: Callable[[Recorded], None],
    ) -> None:
        self._writer = writer
        self._contents = contents
        self._clock = clock
        self._recorded = recorded
        self._holder = ""

    async def lease(self, request: Lease) -> Leased:
        """The first lease of a new relay sets free what the one before held."""
        now = self._clock()
        is_new = request.holder != self._holder
        self._holder = request.holder

        def apply(spool: SpoolStore) -> Leased:
            if is_new:
                spool.release_relay_leases(request.holder, now)
            attempts = spool.lease(
                Route.RELAY, request.holder, request.limit, now, request.seconds, frozenset(request.excluded)
            )
            work = tuple(self._work(spool, attempt) for attempt in attempts)
            return Leased(work, spool.next_due(Route.RELAY))

        return await self._writer.do(apply)

    def _work(self, spool: SpoolStore, attempt: Attempt) -> Work:
        content = attempt.content
        return Work(
            message=attempt.message,
            n=attempt.n,
            position=attempt.position,
            number=attempt.number,
            destination=attempt.destination,
            expires_at=attempt.expires_at,
            envelope=spool.envelope(attempt.message),
            size=content.size,
            inline=content.inline,
            digest=content.digest,
            file=str(self._contents.path(attempt.queue_id, content).absolute()) if content.in_file else "",
        )

    async def record(self, request: Record) -> Done:
        """An outcome counts whoever holds the lease by now: the next hop has the message, or it has refused it."""
        now = self._clock()

        def apply(spool: SpoolStore) -> Recorded:
            finished = []
            for ended in request.ended:
                attempt = spool.leased(ended.message, ended.n)
                if attempt is None or (ended.queue_id and ended.queue_id != attempt.queue_id):
                    continue
                outcome = ended.outcome
                if outcome.state is State.HELD:  # by the relay only what is damaged
                    note_damage(spool, attempt.queue_id, attempt.message, now, outcome.text)
                    outcome = replace(outcome, text=f"{DAMAGED}{outcome.text}")
                finished.append(Finished(attempt, outcome, ended.facts))
            return spool.record(finished, now)

        await self._writer.do(apply, synced=self._recorded)
        return Done()
