"""A policy file is edited, and the running gateway acts on it; a broken one changes nothing."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from typing import Any

import pytest

from tests.conftest import Build
from tests.support import maildir, messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway

pytestmark = pytest.mark.component("clamd")
BOB = "bob@acme.example"
NO_TABLES = """
[[attachments]]
name = "no tables"
action = "{action}"
extension = ["xls"]
reply = "Send a PDF instead"
"""


def table(name: str) -> bytes:
    return messages.with_attachment(name, b"1;2;3\r\n" * 20, "numbers.xls", "text/plain")


def write(gateway: Gateway, text: str) -> None:
    (gateway.policy_dir / "gateway.toml").write_text(text)


@pytest.mark.parametrize("workers", ["1", "0"])
def test_an_edited_policy_acts_after_reload_and_a_broken_one_does_not(
    new_gateway: Build, clamd: Clamd, workers: str
) -> None:
    gateway = new_gateway(clamd.endpoint, WORKERS=workers)
    write(gateway, "")
    gateway.start()
    assert gateway.deliver(table(messages.token()), BOB).code == 250

    write(gateway, NO_TABLES.format(action="reject"))
    gateway.cli("reload")
    answer = gateway.deliver(table(messages.token()), BOB)
    assert (answer.code, answer.enhanced) == (554, "5.7.1")
    assert "Send a PDF instead" in answer.text

    write(gateway, "[limits]\nnonsense = 1\nparts = -1\n")
    done = gateway.run("reload")
    assert done.returncode == 1, done
    assert "gateway.toml:2" in done.stderr + done.stdout
    assert "gateway.toml:3" in done.stderr + done.stdout
    assert gateway.deliver(table(messages.token()), BOB).code == 554

    write(gateway, "")
    os.kill(gateway.pid, signal.SIGHUP)
    eventually(lambda: gateway.deliver(table(messages.token()), BOB).code == 250, "the policy to be reloaded")
    gateway.stop()


def test_a_gateway_with_a_broken_policy_does_not_start_and_says_where(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    write(gateway, "[limits]\nnonsense = 1\n")
    done = gateway.run("serve")
    assert done.returncode in (1, 2)
    assert "gateway.toml:2" in done.stdout + done.stderr
    assert gateway.run("policy", "check").returncode == 1


def test_tenants_differ_and_the_stricter_quarantines_what_the_other_delivers(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    write(gateway, "")
    (gateway.policy_dir / "tenants" / "globex.toml").write_text(NO_TABLES.format(action="quarantine"))
    gateway.start()
    free, strict = messages.token(), messages.token()
    assert gateway.deliver(table(free), BOB).code == 250
    answer = gateway.deliver(table(strict), "carol@globex.example")
    assert answer.code == 250
    gateway.delivered(BOB, free)
    listed = gateway.json("quarantine", "list", "--tenant", "globex")
    assert [entry["queue_id"] for entry in listed] == [answer.queue_id]
    assert not maildir.holding(gateway.maildir("carol@globex.example"), strict)
    gateway.stop()


def test_wrong_policies_do_not_keep_the_gateway_from_starting(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    gateway.stop()
    (gateway.policy_dir / "tenants" / "acme.toml").write_text("[limits]\nrecipint = 5\n")
    gateway.start()
    name = messages.token()
    assert gateway.deliver(messages.clean(name)).code == 250
    gateway.delivered("bob@acme.example", name)
    told = {check["name"]: check for check in health(gateway)["checks"]}["policies"]
    assert told["status"] == "warn"
    assert "acme.toml:2: limits.recipint" in told["text"]
    found = {check["name"]: check for check in json.loads(gateway.run("doctor", "--json").stdout)["checks"]}
    assert found["policies"]["status"] == "fail"
    assert "the last good ones hold" in found["policies"]["advice"]
    gateway.stop()


def health(gateway: Gateway) -> Any:
    with urllib.request.urlopen(f"http://{gateway.metrics[0]}:{gateway.metrics[1]}/healthz", timeout=60) as answer:
        return json.loads(answer.read())
