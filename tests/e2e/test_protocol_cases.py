"""The published protocol cases against MX, against submission, and inside an authenticated submission."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Build
from tests.support.bridge import Bridge
from tests.support.clamd import Clamd
from tests.support.components import SHARED
from tests.support.gateway import PASSWORD, Gateway
from tests.support.smtp import Address

pytestmark = pytest.mark.component("clamd", "shared")

USER, DOMAIN = "user@tenant-a.example", "tenant-a.example"
RUNNER = SHARED / "conformance" / "smtp" / "run_cases.py"
AT_A_TIME = 8

# Cases that can't be judged through the bridge, which has said EHLO and AUTH before the case begins.
_MAY_RELAY = "an authenticated user may send to other hosts"
_IS_MENDED = "a bare LF of an authenticated user is made CR LF; it ends nothing"
NOT_THROUGH_THE_BRIDGE = {
    "order-mail-first": "the bridge has said EHLO already",
    "order-early-talk": "the bridge greets, not the server",
    "relay-plain": _MAY_RELAY,
    "relay-literal": _MAY_RELAY,
    "relay-subdomain-trick": _MAY_RELAY,
    "relay-prefix-trick": _MAY_RELAY,
    "relay-from-local-sender": _MAY_RELAY,
    "relay-mixed": _MAY_RELAY,
    "relay-from-null-sender": _MAY_RELAY,
    "strict-lf-dot-lf": _IS_MENDED,
    "strict-crlf-dot-lf": _IS_MENDED,
}
# What we do otherwise on purpose; docs/architecture.md says why.
ARGUED_AGAINST = {
    "len-local-65": "RFC 5321 section 4.5.3.1: no limit where that is possible; mailing lists and forwarders need more",
    "addr-dotdot": "addresses of that form exist by the hundred thousand; nobody reads them in another way",
    "byte-8bit-ehlo": "the name of a machine, in whatever encoding; it is never written into a field",
    "byte-space-ehlo": "devices call themselves so; it is never written into a field",
}


@dataclass(frozen=True, slots=True)
class Run:
    """How `run_cases.py` is called, beside the address."""

    gateway: Gateway
    address: Address
    options: tuple[str, ...]

    def cases(self, group: str) -> list[dict[str, Any]]:
        command = [sys.executable, str(RUNNER), self.address[0], str(self.address[1]), "--json", "--trace"]
        command += ["--rcpt", USER, "--rcpt2", "user2@tenant-a.example", "--local-domain", DOMAIN]
        command += ["--maildir", str(self.gateway.maildir(USER)), "--only", f" {group}$", "--timeout", "10"]
        done = subprocess.run([*command, *self.options], capture_output=True, text=True, timeout=280, check=False)
        assert done.stdout, done.stderr
        return list(json.loads(done.stdout)["results"])


def groups() -> list[str]:
    cases = json.loads((RUNNER.parent / "protocol_cases.json").read_text())
    return sorted({case["group"] for case in cases})


def judge(run: Run, not_here: dict[str, str], only: list[str] | None = None) -> None:
    """Every case of level must passes, and every should that is not argued against. Groups run side by side: they wait
    for silence most of the time."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        results = [case for found in pool.map(run.cases, only or groups()) for case in found]
    passed = [case for case in results if case["ok"]]
    failed = [case for case in results if case["ok"] is False and case["id"] not in not_here]
    wrong = [case for case in failed if case["level"] == "must" or case["id"] not in ARGUED_AGAINST]
    lines = [f"{case['level']} {case['id']}: {case['why']}\n    {case.get('trace')}" for case in wrong]
    assert not lines, "\n".join([f"{len(passed)} passed, {len(lines)} failed", *lines])
    assert passed


@pytest.fixture(scope="module")
def target(gateway: Gateway) -> Iterator[Gateway]:
    yield gateway
    gateway.assert_log_is_sane()


def test_cases_on_mx(target: Gateway) -> None:
    judge(Run(target, target.mx, ("--profile", "mx")), {})


def test_cases_inside_an_authenticated_submission(target: Gateway) -> None:
    with Bridge(target.submission, USER, PASSWORD) as bridge:
        judge(Run(target, bridge.address, ("--profile", "submission", "--sender", USER)), NOT_THROUGH_THE_BRIDGE)


def test_login_and_tls_cases_on_submission(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    options = ("--profile", "submission", "--sender", USER, "--user", USER, "--password", PASSWORD)
    judge(Run(gateway, gateway.submission, options), {}, ["starttls", "auth"])
    gateway.stop()
