"""What was learned about a host is remembered for a while, then the best is tried again."""

from __future__ import annotations

from mailgate.transport.ladder import Offer
from mailgate.transport.memory import HostMemory
from tests.support.clock import ManualClock


def test_a_lesson_is_forgotten_after_its_time() -> None:
    clock = ManualClock()
    memory = HostMemory(clock, seconds=100)
    memory.learn("mx.example", 25, Offer.STATIC_RSA, "no common suite")
    clock.advance(99)
    lesson = memory.lesson("mx.example", 25)
    assert lesson is not None and (lesson.offer, lesson.reason) == (Offer.STATIC_RSA, "no common suite")
    clock.advance(1)
    assert memory.lesson("mx.example", 25) is None


def test_learning_the_same_again_does_not_prolong_it() -> None:
    clock = ManualClock()
    memory = HostMemory(clock, seconds=100)
    memory.learn("mx.example", 25, Offer.LEGACY, "old")
    clock.advance(60)
    memory.learn("mx.example", 25, Offer.LEGACY, "old")
    clock.advance(40)
    assert memory.lesson("mx.example", 25) is None


def test_the_best_is_the_end_of_a_lesson() -> None:
    memory = HostMemory(ManualClock())
    memory.learn("mx.example", 25, Offer.PLAINTEXT, "broken")
    memory.learn("mx.example", 25, Offer.FORWARD_SECRET, "")
    assert memory.lesson("mx.example", 25) is None


def test_ports_are_different_hosts() -> None:
    memory = HostMemory(ManualClock())
    memory.learn("mx.example", 25, Offer.LEGACY, "old")
    assert memory.lesson("mx.example", 587) is None
