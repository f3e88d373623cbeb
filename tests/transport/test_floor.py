"""The floor is the highest of all demands, and names who demands it."""

from __future__ import annotations

from mailgate.model.level import TransportLevel
from mailgate.transport.floor import Demand, Floor, highest


def test_without_demands_plaintext_will_do() -> None:
    assert highest([]) == Floor(TransportLevel.PLAINTEXT)
    assert highest([Demand(TransportLevel.PLAINTEXT, "the policy")]).sources == ()


def test_the_highest_counts_with_all_who_ask_for_it() -> None:
    floor = highest(
        [
            Demand(TransportLevel.ENCRYPTED, "the policy"),
            Demand(TransportLevel.AUTHENTICATED, "DANE"),
            Demand(TransportLevel.FORWARD_SECRET, "the class"),
            Demand(TransportLevel.AUTHENTICATED, "MTA-STS"),
            Demand(TransportLevel.AUTHENTICATED, "DANE"),
        ]
    )
    assert floor == Floor(TransportLevel.AUTHENTICATED, ("DANE", "MTA-STS"))
    assert "authenticated" in floor.words and "DANE and MTA-STS" in floor.words
