"""Whose turn it is: windows of lanes, turns of tenants, room for others beside a host in trouble. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mailgate.relay.dispatcher import (
    FIRST_WINDOW,
    LARGEST_WINDOW,
    MOST_ATTEMPTS,
    MOST_BYTES,
    WAITING_IN_TROUBLE,
    WAITING_PER_SLOT,
    Dispatcher,
    Result,
)


@dataclass(frozen=True, eq=False)
class Mail:
    lane: str
    tenant: str = "acme"
    size: int = 1000

    @property
    def destination(self) -> str:
        return self.lane


def started(dispatcher: Dispatcher[Mail]) -> list[Mail]:
    found = []
    while (job := dispatcher.next()) is not None:
        found.append(job)
    return found


def filled(*mails: Mail) -> Dispatcher[Mail]:
    dispatcher: Dispatcher[Mail] = Dispatcher()
    for mail in mails:
        dispatcher.add(mail)
    return dispatcher


def test_a_lane_has_as_many_attempts_as_its_window() -> None:
    dispatcher = filled(*(Mail("a") for _ in range(100)))
    assert len(started(dispatcher)) == FIRST_WINDOW


def test_success_opens_the_window_up_to_the_largest() -> None:
    dispatcher = filled(*(Mail("a") for _ in range(2000)))
    running = started(dispatcher)
    for _ in range(300):
        dispatcher.finished(running.pop(0), Result.GOOD)
        running += started(dispatcher)
    assert len(running) == LARGEST_WINDOW


def test_trouble_closes_it_to_one() -> None:
    dispatcher = filled(*(Mail("a") for _ in range(100)))
    running = started(dispatcher)
    for _ in range(20):
        dispatcher.finished(running.pop(0), Result.TROUBLE)
        running += started(dispatcher)
    assert len(running) == 1


def test_too_many_connections_leaves_what_the_host_takes() -> None:
    dispatcher = filled(*(Mail("a") for _ in range(100)))
    running = started(dispatcher)
    dispatcher.finished(running.pop(), Result.BUSY)
    assert started(dispatcher) == []
    assert 1 <= len(running) < FIRST_WINDOW


def test_a_window_is_remembered_while_the_lane_is_idle() -> None:
    dispatcher = filled(Mail("a"))
    for _ in range(10):
        [job] = started(dispatcher)
        dispatcher.finished(job, Result.GOOD)
        dispatcher.add(Mail("a"))
    for _ in range(50):
        dispatcher.add(Mail("a"))
    assert len(started(dispatcher)) == FIRST_WINDOW + 10


def test_tenants_take_turns_in_a_lane() -> None:
    dispatcher = filled(*(Mail("a", "big") for _ in range(1000)), Mail("a", "small"), Mail("a", "tiny"))
    first = started(dispatcher)
    assert Counter(job.tenant for job in first) == {"big": FIRST_WINDOW - 2, "small": 1, "tiny": 1}


def test_lanes_take_turns() -> None:
    dispatcher = filled(*(Mail("a") for _ in range(50)), *(Mail("b") for _ in range(50)))
    assert [job.lane for job in started(dispatcher)] == ["a", "b"] * FIRST_WINDOW


def test_all_attempts_together_are_bounded() -> None:
    dispatcher = filled(*(Mail(f"lane{n}") for n in range(MOST_ATTEMPTS + 100)))
    assert len(started(dispatcher)) == MOST_ATTEMPTS


def test_hosts_that_hang_take_no_room_from_others() -> None:
    dispatcher = filled(*(Mail(f"hangs{n}") for n in range(10) for _ in range(WAITING_IN_TROUBLE + 20)))
    before = dispatcher.room
    for job in started(dispatcher):
        dispatcher.finished(job, Result.TROUBLE)
    started(dispatcher)
    assert dispatcher.room > before
    assert {f"hangs{n}" for n in range(10)} <= set(dispatcher.full())


def test_a_full_lane_eases_once_it_takes_more() -> None:
    dispatcher = filled(*(Mail("a") for _ in range(FIRST_WINDOW * WAITING_PER_SLOT + 1)), Mail("b"))
    assert dispatcher.full() == ("a",)
    assert not dispatcher.has_eased("a")
    started(dispatcher)
    assert dispatcher.has_eased("a")
    assert not dispatcher.has_eased("b")
    assert dispatcher.full() == ()
    assert not dispatcher.has_eased("a")


def test_memory_is_bounded() -> None:
    dispatcher = filled(Mail("a", size=MOST_BYTES - 1))
    assert dispatcher.room > 0
    dispatcher.add(Mail("b", size=1))
    assert dispatcher.room == 0
    for job in started(dispatcher):
        dispatcher.finished(job, Result.GOOD)
    assert dispatcher.room > 0
    assert dispatcher.is_idle


def test_what_waits_behind_a_dead_host_can_be_given_up_after_the_last_attempt() -> None:
    dispatcher = filled(*(Mail("a") for _ in range(30)), Mail("b"))
    running = started(dispatcher)
    assert list(dispatcher.give_up("a")) == []
    for job in running:
        dispatcher.finished(job, Result.DEAD)
    assert len(list(dispatcher.give_up("a"))) == 30 - FIRST_WINDOW
    assert dispatcher.is_idle
    assert list(dispatcher.give_up("unknown")) == []
