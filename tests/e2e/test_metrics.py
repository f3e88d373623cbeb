"""A running gateway that has worked exposes what docs/operations.md names, and what its alerts ask for."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Build
from tests.ops.test_operations_page import PAGE
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway
from tests.support.smtp import SmtpClient

pytestmark = pytest.mark.component("clamd")

BOB = "bob@acme.example"
_ALERTS = PAGE.partition("### Alerts worth having")[2].partition("\n## ")[0]
_NAMED = re.compile(r"(mailgate_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
Sample = tuple[str, Mapping[str, str], float]


def scrape(gateway: Gateway) -> list[Sample]:
    with urllib.request.urlopen(f"http://{gateway.metrics[0]}:{gateway.metrics[1]}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def fits(labels: Mapping[str, str], matchers: str) -> bool:
    """As Prometheus reads `name="value"` and `name=~"pattern"`."""
    for name, how, value in _MATCHER.findall(matchers):
        pattern = value if how == "=~" else re.escape(value)
        if not re.fullmatch(pattern, labels.get(name, "")):
            return False
    return True


def missing(samples: list[Sample], wanted: str) -> list[str]:
    """What `wanted` (a text with names of metrics, and matchers) names and nobody exposes."""
    found = []
    for name, matchers in _NAMED.findall(wanted):
        names = {name, f"{name}_count"}  # a histogram has no sample of its own name
        if not any(each in names and fits(labels, matchers) for each, labels, _ in samples):
            found.append(f"{name}{{{matchers}}}")
    return found


def total(samples: list[Sample], name: str, **labels: str) -> float:
    return sum(value for each, found, value in samples if each == name and labels.items() <= dict(found).items())


def work(gateway: Gateway) -> None:
    for body in (messages.clean(messages.token()), messages.infected(messages.token())):
        gateway.deliver(body, BOB)
    with SmtpClient(gateway.mx) as client:
        client.hello()
        client.envelope("a@sender.example", [])
        client.command("RCPT TO:<nobody@acme.example>", 550)
    with gateway.submit() as client:
        own = messages.written_by(BOB, messages.clean(messages.token()))
        assert client.transfer(BOB, ["alice@acme.example"], own).code == 250
    gateway.cli("reload")


def test_what_the_page_names_is_exposed(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    begun = scrape(gateway)
    assert missing(begun, _ALERTS) == [], "a rule that finds no series can't fire at the first one"
    assert total(begun, "mailgate_connections_total") == 0
    work(gateway)
    eventually(lambda: total(scrape(gateway), "mailgate_outcomes_total", state="delivered") >= 2, "the deliveries")
    samples = scrape(gateway)
    table = PAGE.partition("## Metrics")[2].partition("### Alerts")[0]
    assert missing(samples, table) == []
    assert total(samples, "mailgate_commit_seconds_count") >= 2
    assert total(samples, "mailgate_committed_total") == 2
    assert total(samples, "mailgate_connections_total", listener="mx") == 3
    assert total(samples, "mailgate_connections_total", listener="submission") == 1
    assert total(samples, "mailgate_replies_total", code="550") >= 1
    assert total(samples, "mailgate_verdicts_total", verdict="infected") >= 1
    assert total(samples, "mailgate_inspection_seconds_count") == 3
    assert total(samples, "mailgate_policy_reloads_total", result="published") >= 1
    gateway.stop()
