"""Submissions that were taken while no scanner answered go on by themselves: scanned, judged by the policy in force,
then delivered, or quarantined with a notice to the sender."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from mailgate.model.decision import Action
from mailgate.model.errors import MailgateError
from mailgate.model.event import Event
from mailgate.model.outcome import Outcome, State
from mailgate.model.verdict import Inspection
from mailgate.policy.evaluate import Ruling, evaluate_each
from mailgate.policy.facts import Facts
from mailgate.records.timeline import decision_facts, inspection_facts
from mailgate.spool.queue import Selection, SpoolStore, Unscanned
from mailgate.spool.rows import WITHHELD, notify_of
from mailgate.store.holding.rescan import Rescan
from mailgate.store.surroundings import Surroundings

FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0  # seconds between tries while the scanner does not answer
STEP = 100
BY = "scanner"

_log = logging.getLogger(__name__)


class HeldMail:
    """Runs in the event loop. `owes`: a sender is to be told something."""

    def __init__(self, around: Surroundings, rescan: Rescan, owes: Callable[[], None]) -> None:
        self._around = around
        self._rescan = rescan
        self._owes = owes

    async def run(self) -> None:
        """Until cancelled. While the scanner is away the pauses grow; what comes meanwhile waits for the next look."""
        wait = FIRST_WAIT
        while True:
            wait = FIRST_WAIT if await self.look() else min(2 * wait, LONGEST_WAIT)
            await asyncio.sleep(wait)

    async def look(self) -> bool:
        """Tries all that is held until it has been scanned, oldest first; False where the scanner is away."""
        after = 0
        while found := await self._in_thread(partial(self._around.listing.unscanned, after, STEP)):
            for held in found:
                after = held.message
                try:
                    if not await self._go_on(held):
                        return False
                except MailgateError as error:
                    _log.warning("%s stays held: %s", held.envelope.queue_id, error)
        return True

    async def _in_thread(self, read: Callable[[], list[Unscanned]]) -> list[Unscanned]:
        return await asyncio.get_running_loop().run_in_executor(self._around.thread, read)

    async def _go_on(self, held: Unscanned) -> bool:
        """False where the scanner gave no verdict."""
        policy = self._around.policy().for_tenant(held.envelope.tenant)
        read = partial(self._around.reading.content, held.message, held.envelope.queue_id, held.content)
        content = await asyncio.get_running_loop().run_in_executor(self._around.thread, read)
        inspection = await self._rescan.inspect(content, held.envelope, policy)
        if inspection.is_transient:
            return False
        # size and hops were judged before it was held
        envelope = held.envelope
        hosted = frozenset(recipient.forward_path for recipient in envelope.recipients if recipient.mailboxes)
        facts = Facts(
            envelope.direction,
            envelope.reverse_path,
            held.forward_paths,
            0,
            inspection,
            at=self._around.clock(),
            hosted=hosted,
        )
        rulings = evaluate_each(policy, facts)
        await self._around.writer.do(partial(self._apply, held, inspection, rulings))
        self._around.wake()
        self._owes()
        return True

    def _apply(self, held: Unscanned, inspection: Inspection, rulings: tuple[Ruling, ...], spool: SpoolStore) -> None:
        """In the writer's thread."""
        now = self._around.clock()
        spool.note(held.envelope, (Event(now, "inspected", inspection_facts(inspection)),))
        for ruling in rulings:
            decision = ruling.decision
            spool.note(held.envelope, (Event(now, "decided", decision_facts(decision)),))
            state = State.QUEUED if decision.action is Action.ACCEPT else State.QUARANTINED
            selection = Selection(held.envelope.queue_id, frozenset({State.HELD}), frozenset(ruling.recipients))
            spool.move(selection, state, now, BY, decision.reason, is_scanned=True)
            if state is State.QUARANTINED:
                self._tell_sender(held, ruling, now, spool)
            _log.info("%s was scanned and is %s: %s", held.envelope.queue_id, state, decision.reason)

    def _tell_sender(self, held: Unscanned, ruling: Ruling, now: float, spool: SpoolStore) -> None:
        outcome = Outcome(State.QUARANTINED, ruling.decision.reason, 0, "4.7.1")
        for position, recipient in enumerate(held.envelope.recipients):
            is_meant = recipient.forward_path in ruling.recipients
            if is_meant and {"DELAY", WITHHELD} & set(notify_of(held.envelope, recipient)):
                spool.owe(held.message, position, outcome, now)
