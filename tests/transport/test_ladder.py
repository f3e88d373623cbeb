"""The ladder: which step follows which failure, and where the floor ends it."""

from __future__ import annotations

import itertools

import pytest

from mailgate.model.level import TransportLevel
from mailgate.transport.ladder import Bounds, Failure, Offer, Step, first_step, next_step

PLAINTEXT, ENCRYPTED, FORWARD_SECRET, AUTHENTICATED = TransportLevel


def way_down(failure: Failure, bounds: Bounds, learned: Offer | None = None) -> list[Step]:
    """All steps where each fails in the same way."""
    steps = [first_step(bounds, learned)]
    while (following := next_step(steps[-1], failure, bounds)) is not None:
        steps.append(following)
    return steps


@pytest.mark.parametrize(
    ("floor", "offers"),
    [
        (PLAINTEXT, [Offer.FORWARD_SECRET, Offer.STATIC_RSA, Offer.LEGACY, Offer.PLAINTEXT]),
        (ENCRYPTED, [Offer.FORWARD_SECRET, Offer.STATIC_RSA, Offer.LEGACY]),
        (FORWARD_SECRET, [Offer.FORWARD_SECRET]),
        (AUTHENTICATED, [Offer.FORWARD_SECRET]),
    ],
)
def test_handshakes_that_fail_lead_down_to_the_floor(floor: TransportLevel, offers: list[Offer]) -> None:
    assert [step.offer for step in way_down(Failure.HANDSHAKE, Bounds(floor))] == offers


@pytest.mark.parametrize("failure", [Failure.NOT_OFFERED, Failure.REFUSED])
def test_without_starttls_there_is_plaintext_or_nothing(failure: Failure) -> None:
    assert [step.offer for step in way_down(failure, Bounds(PLAINTEXT))] == [Offer.FORWARD_SECRET, Offer.PLAINTEXT]
    for floor in (ENCRYPTED, FORWARD_SECRET, AUTHENTICATED):
        assert len(way_down(failure, Bounds(floor))) == 1


@pytest.mark.parametrize(("floor", "offer"), list(itertools.product(TransportLevel, Offer)))
def test_a_dropped_connection_is_no_reason_to_go_lower(floor: TransportLevel, offer: Offer) -> None:
    assert next_step(Step(offer), Failure.CONNECTION, Bounds(floor)) is None


@pytest.mark.parametrize("floor", list(TransportLevel))
def test_a_certificate_that_fails_is_fatal_only_where_it_is_demanded(floor: TransportLevel) -> None:
    bounds = Bounds(floor, wants_verification=True)
    first = first_step(bounds)
    assert first == Step(Offer.FORWARD_SECRET, verifies=True)
    following = next_step(first, Failure.CERTIFICATE, bounds)
    assert following == (None if floor is AUTHENTICATED else Step(Offer.FORWARD_SECRET))


def test_a_certificate_that_nobody_checked_leads_nowhere() -> None:
    assert next_step(Step(Offer.FORWARD_SECRET), Failure.CERTIFICATE, Bounds(PLAINTEXT)) is None


@pytest.mark.parametrize(("floor", "learned"), list(itertools.product(TransportLevel, Offer)))
def test_what_was_learned_never_leads_below_the_floor(floor: TransportLevel, learned: Offer) -> None:
    step = first_step(Bounds(floor), learned)
    assert step.offer.best_level >= floor
    assert step.offer is learned or learned.best_level < floor


@pytest.mark.parametrize(
    ("floor", "failure", "offer", "verifies", "wants"),
    list(itertools.product(TransportLevel, Failure, Offer, (True, False), (True, False))),
)
def test_no_step_ever_leads_below_the_floor_or_up(
    floor: TransportLevel, failure: Failure, offer: Offer, verifies: bool, wants: bool
) -> None:
    step = Step(offer, verifies)
    following = next_step(step, failure, Bounds(floor, wants))
    if following is not None:
        assert following.offer.best_level >= floor
        assert following != step, "the same again would never end"
        assert list(Offer).index(following.offer) >= list(Offer).index(offer)
        assert not (following.offer is Offer.PLAINTEXT and following.verifies)
