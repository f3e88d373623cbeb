"""Which hosts take mail for a domain, from answers alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.dns import Answer, Mx, Status
from mailgate.model.outcome import Outcome, State
from mailgate.route.mx import MOST_HOSTS, MxHost, select

OURS = "gateway.example"


def hosts(*records: Mx, seed: int = 1, secure: bool = False) -> list[str] | Outcome:
    answer = Answer(Status.FOUND, records, secure)
    found = select("hop.example", answer, lambda name: name == OURS, random.Random(seed).shuffle)
    return found if isinstance(found, Outcome) else [host.name for host in found]


def test_by_preference() -> None:
    assert hosts(Mx(20, "b.example"), Mx(10, "a.example"), Mx(30, "c.example")) == [
        "a.example",
        "b.example",
        "c.example",
    ]


def test_by_chance_among_equals() -> None:
    records = [Mx(10, f"mx{n}.example") for n in range(4)]
    orders = {tuple(found) for seed in range(50) if isinstance(found := hosts(*records, seed=seed), list)}
    assert len(orders) > 5
    assert {order[0] for order in orders} == {record.host for record in records}


def outcome(answer: Answer[Mx]) -> Outcome:
    found = select("hop.example", answer, lambda name: name == OURS, lambda hosts: None)
    assert isinstance(found, Outcome)
    return found


@pytest.mark.parametrize(
    ("answer", "state", "enhanced"),
    [
        (Answer(Status.NXDOMAIN), State.BOUNCED, "5.1.2"),
        (Answer(Status.FAILED, reason="SERVFAIL"), State.QUEUED, "4.4.3"),
        (Answer(Status.BOGUS, reason="DNSSEC"), State.QUEUED, "4.4.3"),
        (Answer(Status.FOUND, (Mx(0, ""),)), State.BOUNCED, "5.1.10"),
        (Answer(Status.FOUND, (Mx(10, OURS),)), State.BOUNCED, "5.4.6"),
        (Answer(Status.FOUND, (Mx(10, OURS), Mx(20, "b.example"))), State.BOUNCED, "5.4.6"),
        (Answer(Status.FOUND, (Mx(10, "not a host"),)), State.BOUNCED, "5.4.4"),
    ],
)
def test_no_hosts(answer: Answer[Mx], state: State, enhanced: str) -> None:
    found = outcome(answer)
    assert (found.state, found.enhanced, found.code) == (state, enhanced, 0)
    assert "hop.example" in found.text


def test_implicit_mx() -> None:
    found = select("hop.example", Answer(Status.NO_DATA, is_secure=True), lambda name: False, lambda hosts: None)
    assert found == (MxHost("hop.example", 0, is_secure=True),)


def test_only_what_is_preferred_to_ourselves_remains() -> None:
    assert hosts(Mx(5, "a.example"), Mx(10, OURS), Mx(10, "b.example"), Mx(20, "c.example")) == ["a.example"]


def test_a_null_record_among_others_counts_for_nothing() -> None:
    assert hosts(Mx(0, ""), Mx(10, "a.example")) == ["a.example"]


def test_ten_thousand_records_are_bounded() -> None:
    found = hosts(*(Mx(n, f"mx{n}.example") for n in range(10_000)))
    assert found == [f"mx{n}.example" for n in range(MOST_HOSTS)]


def test_a_host_named_twice_counts_once() -> None:
    assert hosts(Mx(10, "a.example"), Mx(20, "a.example")) == ["a.example"]


@given(st.lists(st.tuples(st.integers(0, 65535), st.text("ab.-", max_size=8)), max_size=40), st.integers(0, 99))
def test_any_answer_gives_ordered_hosts_or_an_outcome(pairs: list[tuple[int, str]], seed: int) -> None:
    records = tuple(Mx(preference, name) for preference, name in pairs)
    found = select("hop.example", Answer(Status.FOUND, records), lambda n: n == "b", random.Random(seed).shuffle)
    if isinstance(found, Outcome):
        assert found.state is State.BOUNCED
        return
    assert found and len({host.name for host in found}) == len(found) <= MOST_HOSTS
    assert [host.preference for host in found] == sorted(host.preference for host in found)
    assert "b" not in {host.name for host in found}
