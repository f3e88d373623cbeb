"""The steps from the best TLS to none: where to begin with a host, and what may follow a failure. Pure.

A step down is taken only for a failure of its own kind: suites or versions that do not fit lead to the next TLS offer,
STARTTLS that is not there leads to plaintext. A dropped connection or a time-out says nothing about TLS: mail waits.
Inside the handshake it may: some hosts know no other way to say that nothing fits. Who could cut it for another reason
could as well take STARTTLS out of the dialogue, so from the second attempt on it counts as a handshake that failed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from mailgate.model.level import TransportLevel


class Offer(enum.Enum):
    """What we propose to a host, best first."""

    FORWARD_SECRET = "forward-secret"  # noqa: S105 (not a password)
    STATIC_RSA = "static-rsa"
    LEGACY = "legacy"
    PLAINTEXT = "plaintext"

    @property
    def best_level(self) -> TransportLevel:
        """The most private level that can come of it."""
        return _BEST[self]


_BEST = {
    Offer.FORWARD_SECRET: TransportLevel.AUTHENTICATED,
    Offer.STATIC_RSA: TransportLevel.ENCRYPTED,
    Offer.LEGACY: TransportLevel.ENCRYPTED,
    Offer.PLAINTEXT: TransportLevel.PLAINTEXT,
}
_OFFERS = tuple(Offer)


class Failure(enum.StrEnum):
    """How a step failed. HANDSHAKE: TLS could not be agreed (no common suite or version, no TLS at all behind
    STARTTLS). NOT_OFFERED, REFUSED: EHLO names no STARTTLS, or the command is answered with a refusal. CERTIFICATE: it
    does not prove the name that was asked for. CUT: dropped inside the handshake or before the first reply behind it,
    or no answer in the handshake in time. CONNECTION: the same before or after it."""

    HANDSHAKE = "handshake"
    NOT_OFFERED = "starttls-not-offered"
    REFUSED = "starttls-refused"
    CERTIFICATE = "certificate"
    CUT = "handshake-cut"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Step:
    """One try. `verifies`: the certificate is checked against WebPKI, and one that fails ends the handshake."""

    offer: Offer
    verifies: bool = False

    def __str__(self) -> str:
        return f"{self.offer.value}{', verified' if self.verifies else ''}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """`floor`: nothing below it. `wants_verification`: WebPKI is tried; where `floor` does not ask for AUTHENTICATED,
    a certificate that fails is recorded and the mail leaves unverified (MTA-STS in testing mode). `bears_cuts`:
    the host has cut the handshake before."""

    floor: TransportLevel
    wants_verification: bool = False
    bears_cuts: bool = False

    def allows(self, offer: Offer) -> bool:
        return offer.best_level >= self.floor


def first_step(bounds: Bounds, learned: Offer | None = None) -> Step:
    """At the top, or where the host was found to stand (`learned`) as far as the floor allows that."""
    offer = learned if learned is not None and bounds.allows(learned) else Offer.FORWARD_SECRET
    return Step(offer, bounds.wants_verification and offer is not Offer.PLAINTEXT)


def next_step(step: Step, failure: Failure, bounds: Bounds) -> Step | None:
    """What may follow, or None: nothing is left that the floor allows, and the mail waits or tries another host."""
    following = _below(step, failure, bounds)
    if following is None or following == step or not bounds.allows(following.offer):
        return None
    return following


def _below(step: Step, failure: Failure, bounds: Bounds) -> Step | None:
    """The next step by the kind of failure alone."""
    match failure:
        case Failure.CERTIFICATE if step.verifies and bounds.floor < TransportLevel.AUTHENTICATED:
            return replace(step, verifies=False)
        case Failure.CUT if not bounds.bears_cuts:
            return None
        case Failure.HANDSHAKE | Failure.CUT:
            offer = next(iter(_OFFERS[_OFFERS.index(step.offer) + 1 :]), None)
            return None if offer is None else Step(offer, step.verifies and offer is not Offer.PLAINTEXT)
        case Failure.NOT_OFFERED | Failure.REFUSED:
            return Step(Offer.PLAINTEXT)
        case _:
            return None
