"""How the gateway starts, reloads, drains and ends, and what it says when it can't start."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request

import pytest

from tests.conftest import Build
from tests.support import messages, processes
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway
from tests.support.smtp import CLOSED, Address, dot_stuffed

pytestmark = pytest.mark.component("clamd")
BOB = "bob@acme.example"


def listens(address: Address) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def test_everything_in_one_process(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint, WORKERS="0")
    gateway.start()
    assert processes.by_role(gateway.pid) == {}
    small, large = messages.token(), messages.token()
    for name, message in ((small, messages.clean(small)), (large, messages.of_size(large, 300_000))):
        assert gateway.deliver(message, BOB).code == 250
        gateway.delivered(BOB, name)
    assert gateway.deliver(messages.infected(messages.token()), BOB).code == 554
    gateway.stop()


def test_the_supervisor_runs_store_inspectors_and_edge(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    roles = {role: len(pids) for role, pids in processes.by_role(gateway.pid).items()}
    assert roles["store"] == roles["edge"] == 1
    assert roles["inspector"] == 2
    gateway.stop()


def test_sigterm_lets_a_running_transaction_finish(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    gateway.maildir(BOB)
    name = messages.token()
    message = dot_stuffed(messages.of_size(name, 500_000))
    with gateway.connect() as client, gateway.connect() as idle:
        client.envelope("a@sender.example", [BOB])
        client.command("DATA", 354)
        client.send(message[:200_000])
        os.kill(gateway.pid, signal.SIGTERM)
        eventually(lambda: not listens(gateway.mx), "the listener to close")
        client.send(message[200_000:])
        assert client.answer().code == 250
        left = idle.answer()
        assert left == CLOSED or left.code == 421
    assert gateway.exit_code() == 0
    gateway.process = None
    gateway.start()
    gateway.delivered(BOB, name)
    gateway.stop()


def test_what_was_accepted_before_a_stop_is_delivered_by_the_next_start(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    accepted = []
    with gateway.connect() as client:
        for _ in range(20):
            name = messages.token()
            assert client.transfer("a@sender.example", [BOB], messages.clean(name)).code == 250
            accepted.append(name)
    gateway.kill()
    gateway.start()
    for name in accepted:
        gateway.delivered(BOB, name)
    gateway.stop()


def test_sighup_keeps_serving(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    before = processes.by_role(gateway.pid)
    with gateway.connect() as client:
        os.kill(gateway.pid, signal.SIGHUP)
        name = messages.token()
        assert client.transfer("a@sender.example", [BOB], messages.clean(name)).code == 250
    gateway.delivered(BOB, name)
    assert gateway.deliver(messages.clean(messages.token()), BOB).code == 250
    assert processes.by_role(gateway.pid) == before
    gateway.stop()


def fails_with_one_line(gateway: Gateway, *words: str) -> None:
    done = gateway.run("serve")
    assert done.returncode in (2, 3), f"{done.returncode}\n{done.stdout}{done.stderr}"
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert any(all(word in line for word in words) for line in said.splitlines()), f"no line has {words}:\n{said}"


def test_a_second_instance_says_that_the_data_directory_is_in_use(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    fails_with_one_line(gateway, str(gateway.data_dir))
    assert gateway.deliver(messages.clean(messages.token()), BOB).code == 250
    gateway.stop()


def test_an_occupied_port_is_named(new_gateway: Build) -> None:
    gateway = new_gateway("unix:/nonexistent")
    with socket.create_server(gateway.mx):
        fails_with_one_line(gateway, f"{gateway.mx[0]}:{gateway.mx[1]}")


def test_a_missing_certificate_is_named(new_gateway: Build) -> None:
    gateway = new_gateway("unix:/nonexistent", TLS_CERT="/nonexistent/cert.pem", TLS_KEY="/nonexistent/key.pem")
    fails_with_one_line(gateway, "/nonexistent/cert.pem")


def test_a_data_directory_that_is_a_file_is_named(new_gateway: Build) -> None:
    gateway = new_gateway("unix:/nonexistent")
    occupied = gateway.root / "file"
    occupied.touch()
    gateway.environment["MAILGATE_DATA_DIR"] = str(occupied / "data")
    fails_with_one_line(gateway, str(occupied))


def test_wrong_settings_are_listed_all_at_once(new_gateway: Build) -> None:
    gateway = new_gateway("nonsense", WORKERS="many")
    done = gateway.run("serve")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "MAILGATE_CLAMD" in said
    assert "MAILGATE_WORKERS" in said


@pytest.mark.parametrize("role", ["edge", "store", "inspector"])
def test_a_process_that_dies_is_started_again(new_gateway: Build, clamd: Clamd, role: str) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    before = processes.by_role(gateway.pid)
    for pid in before[role]:
        os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        now = processes.by_role(gateway.pid).get(role, [])
        return len(now) == len(before[role]) and not set(now) & set(before[role])

    eventually(replaced, f"a new {role}")
    name = messages.token()
    eventually(lambda: _accepted(gateway, name), "mail to be accepted again")
    gateway.delivered(BOB, name)
    gateway.stop()


def _accepted(gateway: Gateway, name: str) -> bool:
    try:
        answer = gateway.deliver(messages.clean(name), BOB)
    except (OSError, AssertionError):
        return False
    return answer.code == 250


def test_health_and_metrics_are_served(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    base = f"http://{gateway.metrics[0]}:{gateway.metrics[1]}"
    assert gateway.deliver(messages.clean(messages.token()), BOB).code == 250

    def fetch(path: str) -> str:
        with urllib.request.urlopen(base + path, timeout=30) as answer:
            return str(answer.read().decode())

    eventually(lambda: "mailgate_" in fetch("/metrics"), "metrics of the gateway's own")
    assert fetch("/healthz")
    gateway.stop()


def test_nothing_of_a_message_is_in_the_log(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint, LOG_LEVEL="debug")
    gateway.start()
    name = messages.token()
    assert gateway.deliver(messages.clean(name, "secret-body-word\r\n"), BOB).code == 250
    gateway.delivered(BOB, name)
    with gateway.submit(BOB) as client:
        client.command("NOOP", 250)
    gateway.stop()
    log = gateway.log()
    assert "secret-body-word" not in log
    assert f"test {name}" not in log, "the subject is in the log"
    assert "correct horse" not in log
