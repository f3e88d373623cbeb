"""Real servers are asked about recipients before mail for them is accepted: Postfix and Exim in TLS, and without."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailgate.edge.callout import Callout, CalloutError
from mailgate.model.address import parse_address
from mailgate.policy.schema import InboundRoute
from tests.relay.harness import FakeNames
from tests.support.exim_hop import EximHop
from tests.support.next_hop import PostfixHop

KNOWN, UNKNOWN = "someone@hop.example", "nobody@hop.example"


def asked(port: int, **route: Any) -> tuple[int, int]:
    """The codes for the recipient that is known and the one that is not, over one connection."""
    given = InboundRoute.model_validate({"domain": "hop.example", "server": f"127.0.0.1:{port}", **route})

    async def run() -> tuple[int, int]:
        async with asyncio.timeout(20):
            callout = await Callout.open(given, FakeNames(), "mx.gateway.example")
            try:
                replies = [await callout.ask(parse_address(each)) for each in (KNOWN, UNKNOWN)]
                return replies[0].code, replies[1].code
            finally:
                await callout.quit()

    return asyncio.run(run())


CELLS = [
    ("offered", "plaintext"),
    ("offered", "forward-secret"),
    ("required", "encrypted"),
    ("none", "plaintext"),
]


@pytest.mark.component("postfix", "root")
@pytest.mark.parametrize(("way", "minimum"), CELLS)
def test_postfix_tells_who_is_known(postfix_hop: PostfixHop, way: str, minimum: str) -> None:
    assert asked(getattr(postfix_hop, way), minimum=minimum) == (250, 550)
    encrypted = [line for line in postfix_hop.log().splitlines() if "TLS connection established" in line]
    assert encrypted or way == "none"


@pytest.mark.component("exim", "root")
@pytest.mark.parametrize(("way", "minimum"), CELLS)
def test_exim_tells_who_is_known(exim_hop: EximHop, way: str, minimum: str) -> None:
    assert asked(getattr(exim_hop, way), minimum=minimum) == (250, 550)


@pytest.mark.component("postfix", "root")
def test_below_the_minimum_nobody_is_asked(postfix_hop: PostfixHop) -> None:
    with pytest.raises(CalloutError, match="STARTTLS is not offered"):
        asked(postfix_hop.none, minimum="encrypted")


@pytest.mark.component("postfix", "root")
def test_a_server_that_always_defers_knows_nobody_for_now(postfix_hop: PostfixHop) -> None:
    assert asked(postfix_hop.deferring) == (450, 450)
