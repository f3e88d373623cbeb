"""What the next hop has taken goes out once, though the disk is full and the relay dies before that could be put on
record."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Build
from tests.support import messages, processes
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.components import program
from tests.support.gateway import PASSWORD, Gateway
from tests.support.scripted_hop import Fault, ScriptedHop, in_a_thread
from tests.support.smtp import submission

BOB = "bob@acme.example"


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """Every pwrite64 of the process finds no room."""
    strace = program("strace")
    assert strace
    command = [strace, "-f", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC", "-o", "/dev/null"]
    with subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)


class WaitsBeforeTaking(ScriptedHop):
    def __init__(self) -> None:
        super().__init__()
        self.has_message, self.may_take = threading.Event(), threading.Event()

    def reply(self, step: str, argument: str = "") -> str | Fault:
        if step == "end":
            self.has_message.set()
            self.may_take.wait(60)
        return super().reply(step, argument)


@pytest.mark.component("clamd", "strace")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_taken_is_not_sent_again(new_gateway: Build, clamd: Clamd, number: signal.Signals) -> None:
    with in_a_thread(WaitsBeforeTaking()) as hop:
        gateway = new_gateway(clamd.endpoint)
        route = f'[[routes]]\ndomain = "*"\nsmarthost = "127.0.0.1:{hop.port}"\n'
        (gateway.policy_dir / "gateway.toml").write_text(route)
        gateway.start()
        with submission(gateway.submission, BOB, PASSWORD) as client:
            mail = messages.written_by(BOB, messages.clean(messages.token()))
            assert client.transfer(BOB, ["someone@far.example"], mail).code == 250
        assert hop.has_message.wait(60)
        (store,), (relay,) = (processes.by_role(gateway.pid)[role] for role in ("store", "relay"))
        with full_disk(store):
            hop.may_take.set()
            eventually(lambda: "outcomes can't be recorded" in gateway.log(), "the relay to notice")
            os.kill(relay, number)
            eventually(is_another(gateway, relay), "a new relay", 120)
            eventually(lambda: "before the restart are recorded first" in gateway.log(), "it to know")
        eventually(lambda: not gateway.json("queue", "list"), "the outcome to be recorded")
        assert len(hop.transactions) == 1
        gateway.stop()


def is_another(gateway: Gateway, relay: int) -> Callable[[], bool]:
    return lambda: processes.by_role(gateway.pid).get("relay", [relay]) != [relay]
