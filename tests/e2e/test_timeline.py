"""`mailgate trace` explains what was accepted, refused and quarantined."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Build
from tests.support import messages
from tests.support.clamd import EICAR_NAME, Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway

pytestmark = pytest.mark.component("clamd")
BOB = "bob@acme.example"


@pytest.fixture
def gateway(new_gateway: Build, clamd: Clamd) -> Gateway:
    gateway = new_gateway(clamd.endpoint)
    rule = '[[attachments]]\nname = "notes wait"\naction = "quarantine"\nextension = ["txt"]\n'
    (gateway.policy_dir / "gateway.toml").write_text(rule)
    gateway.start()
    return gateway


def kinds(timeline: Any) -> list[str]:
    return [event["kind"] for event in timeline["events"]]


def traced(gateway: Gateway, name: str, last: str) -> Any:
    """The timeline of the message with this Message-ID, once it holds an event of kind `last`."""

    def found() -> Any:
        done = gateway.run("trace", f"<{name}@sender.example>", "--json")
        if done.returncode != 0:
            return None
        (timeline,) = json.loads(done.stdout)
        return timeline if last in kinds(timeline) else None

    return eventually(found, f"{last} in the timeline of {name}")


def test_the_timeline_of_a_delivered_message(gateway: Gateway) -> None:
    name = messages.token()
    answer = gateway.deliver(messages.with_attachment(name, messages.pdf()), BOB)
    timeline = traced(gateway, name, "delivered")
    steps = ["received", "inspected", "decided", "committed", "delivered"]
    assert [kind for kind in kinds(timeline) if kind in steps] == steps
    assert timeline["queue_id"] == answer.queue_id
    text = gateway.cli("trace", answer.queue_id)
    for word in (answer.queue_id, BOB, "delivered", "clean"):
        assert word in text
    gateway.stop()


def test_the_timeline_of_a_refused_message_names_the_signature(gateway: Gateway) -> None:
    name = messages.token()
    assert gateway.deliver(messages.infected(name), BOB).code == 554
    traced(gateway, name, "refused")
    text = gateway.cli("trace", f"<{name}@sender.example>")
    assert EICAR_NAME in text
    assert "554" in text
    gateway.stop()


def test_the_timeline_of_a_quarantined_message_names_the_rule(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.with_attachment(name, b"remember the milk", "notes.txt", "text/plain")
    answer = gateway.deliver(message, BOB)
    assert answer.code == 250
    text = gateway.cli("trace", answer.queue_id)
    assert "notes wait" in text
    assert "quarantine" in text
    gateway.stop()


def test_a_message_that_nobody_knows_is_exit_code_one(gateway: Gateway) -> None:
    assert gateway.run("trace", "0" * 16).returncode == 1
    gateway.stop()
