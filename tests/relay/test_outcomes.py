"""Outcomes are kept until the store has taken them: without its outcome a message would be sent once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mailgate.ipc.calls import Done, Ended, Record
from mailgate.ipc.frames import StorageFullError
from mailgate.model.errors import MailgateError, UnavailableError, UserError
from mailgate.model.outcome import Outcome, State
from mailgate.relay.outcomes import LONGEST_WAIT, MOST_AT_ONCE, Outcomes

Judge = Callable[[Record, int], MailgateError | None]


class ScriptedStore:
    """`judge` says which error the call of this number gets."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.calls = 0
        self.taken: list[int] = []
        self.waits: list[float] = []

    async def call(self, request: Record) -> Done:
        self.calls += 1
        error = self._judge(request, self.calls)
        if error is not None:
            raise error
        self.taken += [ended.message for ended in request.ended]
        return Done()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


def ended(message: int) -> Ended:
    return Ended(message, 0, Outcome(State.RELAYED, "taken", 250, "2.0.0"))


def told(judge: Judge, messages: range) -> tuple[ScriptedStore, Outcomes, list[str]]:
    store = ScriptedStore(judge)
    resumed: list[str] = []

    async def run() -> Outcomes:
        outcomes = Outcomes(store, "holder", lambda: resumed.append("resumed"), store.sleep)  # type: ignore[arg-type]
        outcomes.add([ended(message) for message in messages])
        await outcomes.flush()
        return outcomes

    return store, asyncio.run(run()), resumed


def test_a_store_without_room_gets_them_later_and_each_once() -> None:
    store, outcomes, resumed = told(lambda request, call: StorageFullError("full") if call <= 9 else None, range(700))
    assert sorted(store.taken) == list(range(700))
    assert resumed == ["resumed"] and not outcomes.is_stuck and len(outcomes) == 0
    assert store.waits == sorted(store.waits) and max(store.waits) == LONGEST_WAIT


def test_while_they_are_not_taken_nothing_new_is_begun() -> None:
    seen: list[bool] = []
    holder: list[Outcomes] = []

    def judge(request: Record, call: int) -> MailgateError | None:
        seen.append(holder[0].is_stuck)
        return UnavailableError("away") if call <= 3 else None

    async def run() -> None:
        store = ScriptedStore(judge)
        holder.append(Outcomes(store, "holder", lambda: None, store.sleep))  # type: ignore[arg-type]
        holder[0].add([ended(1)])
        await holder[0].flush()

    asyncio.run(run())
    assert seen == [False, True, True, True]


@given(st.sets(st.integers(0, 40), max_size=5), st.integers(1, 41))
def test_only_what_is_refused_for_good_is_dropped(bad: set[int], count: int) -> None:
    def judge(request: Record, call: int) -> MailgateError | None:
        return UserError("no such entry") if any(each.message in bad for each in request.ended) else None

    store, outcomes, _ = told(judge, range(count))
    assert sorted(store.taken) == [message for message in range(count) if message not in bad]
    assert len(outcomes) == 0


def test_one_that_fails_again_and_again_does_not_keep_the_others() -> None:
    others = set(range(20)) - {3}

    def judge(request: Record, call: int) -> MailgateError | None:
        if any(each.message == 3 for each in request.ended) and not others <= set(store_taken()):
            return UnavailableError("an error inside the store; see its log")
        return None

    box: list[ScriptedStore] = []

    def store_taken() -> list[int]:
        return box[0].taken

    async def run() -> None:
        store = ScriptedStore(judge)
        box.append(store)
        outcomes = Outcomes(store, "holder", lambda: None, store.sleep)  # type: ignore[arg-type]
        outcomes.add([ended(message) for message in range(20)])
        await outcomes.flush()

    asyncio.run(run())
    assert sorted(box[0].taken) == list(range(20))


def test_many_go_together() -> None:
    store, _, _ = told(lambda request, call: None, range(2 * MOST_AT_ONCE))
    assert store.calls == 2
