"""The wall clock of a running gateway steps (libfaketime), and nobody's patience changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.components import FAKETIME
from tests.support.dns_server import DnsServer
from tests.support.gateway import Gateway
from tests.support.scripted_hop import ScriptedHop, in_a_thread

pytestmark = [pytest.mark.component("clamd"), pytest.mark.component("faketime")]

DAY = 86400
Build = Callable[..., Gateway]


class FakedGateway:
    """A gateway with a clock of its own, and a deferred message to somebody outside."""

    def __init__(self, gateway: Gateway, file: Path) -> None:
        self.gateway = gateway
        self._file = file
        self.shift("+0")
        gateway.environment |= {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, shift: str) -> None:
        """`+6d`, `-1d`: how the wall clock goes from now on."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{shift}\n")
        fresh.rename(self._file)

    @property
    def clock(self) -> dict[str, Any]:
        return self.gateway.json("clock", "show")  # type: ignore[no-any-return]

    @property
    def row(self) -> dict[str, Any]:
        (row,) = self.gateway.json("queue", "list")
        return row  # type: ignore[no-any-return]

    def defer(self) -> None:
        """By an alias that leads elsewhere: TLS on submission does not go well with libfaketime."""
        self.gateway.cli("alias", "add", "acme", "far@acme.example", "--forward", "x@far.example")
        assert self.gateway.deliver(messages.clean(messages.token()), "far@acme.example").code == 250
        eventually(self._is_deferred, "the first attempt to be deferred")

    def _is_deferred(self) -> bool:
        row = self.row
        return bool(row["attempts"] == 1 and not row["lease_holder"])

    def until_doubted(self) -> None:
        eventually(lambda: self.clock["doubted_since"] is not None, "the step to be noticed")

    def assert_patient(self) -> None:
        """It waits for its second attempt, as it would have, and will for some five days."""
        row, now = self.row, self.clock["now"]
        assert row["state"] == "queued"
        assert -60 < row["next_attempt_at"] - now < 360
        assert 4.9 * DAY < row["expires_at"] - now < 5 * DAY


@pytest.fixture
def faked(new_gateway: Build, clamd: Clamd, tmp_path: Path) -> Iterator[FakedGateway]:
    hop = ScriptedHop()
    hop.script = {"RCPT": "451 4.2.0 later", "MAIL": "451 4.2.0 later"}
    with DnsServer() as names, in_a_thread(hop) as running:
        names.host("far.example", "mx.far.example", "127.0.0.1")
        gateway = new_gateway(clamd.endpoint, RELAY_PORT=str(running.port), RESOLVER=names.endpoint)
        yield FakedGateway(gateway, tmp_path / "faketime")


@pytest.mark.parametrize("step", ["+6d", "-1d"])
def test_the_clock_steps_under_a_running_gateway(faked: FakedGateway, step: str) -> None:
    gateway = faked.gateway
    gateway.start()
    faked.defer()
    faked.shift(step)
    faked.until_doubted()
    faked.assert_patient()
    assert "the wall clock stepped" in gateway.log()
    name = messages.token()
    assert gateway.deliver(messages.clean(name)).code == 250
    gateway.delivered("bob@acme.example", name)
    assert "in doubt since" in gateway.cli("clock", "show")
    assert "confirmed" in gateway.cli("clock", "confirm")
    assert faked.clock["doubted_since"] is None
    assert "clock.confirm" in gateway.cli("audit", "list")
    faked.assert_patient()
    gateway.stop()


def test_a_step_that_is_taken_back_needs_nobody(faked: FakedGateway) -> None:
    faked.gateway.start()
    faked.defer()
    faked.shift("+6d")
    faked.until_doubted()
    faked.shift("+0")
    eventually(lambda: faked.clock["doubted_since"] is None, "the doubt to end with the step")
    faked.assert_patient()
    faked.gateway.stop()


@pytest.mark.parametrize("step", ["+40d", "-20000d"])
def test_the_clock_was_set_while_the_gateway_was_stopped(faked: FakedGateway, step: str) -> None:
    """40 days ahead, and back to before 1980."""
    faked.gateway.start()
    faked.defer()
    faked.gateway.stop()
    faked.shift(step)
    faked.gateway.start()
    faked.until_doubted()
    faked.assert_patient()
    faked.gateway.stop()
