"""/metrics and /healthz."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailgate.ops import checks
from mailgate.ops.checks import Check
from mailgate.ops.endpoint import MOST_REQUESTS, Endpoint
from mailgate.records import metrics
from tests.support.clock import eventually

Serve = Callable[[Callable[[], bytes], Callable[[], list[Check]]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts an endpoint; returns its port."""
    started: list[tuple[Endpoint, socket.socket]] = []

    def start(expose: Callable[[], bytes], examine: Callable[[], list[Check]]) -> int:
        bound = socket.create_server(("127.0.0.1", 0))
        endpoint = Endpoint(expose, examine)
        endpoint.start([bound])
        started.append((endpoint, bound))
        return int(bound.getsockname()[1])

    yield start
    for endpoint, bound in started:
        endpoint.stop()
        bound.close()


def get(port: int, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_metrics_and_unknown_paths(serve: Serve) -> None:
    port = serve(lambda: b"mailgate_x 1\n", list)
    assert get(port, "/metrics") == (200, metrics.CONTENT_TYPE, "mailgate_x 1\n")
    assert get(port, "/")[0] == 404


def test_health_is_503_once_a_check_fails(serve: Serve) -> None:
    found = [checks.ok("disk", "fine"), checks.warn("spool", "old", "look")]
    port = serve(lambda: b"", lambda: found)
    status, kind, body = get(port, "/healthz")
    assert (status, kind, json.loads(body)["status"]) == (200, "application/json", "ok")
    found.append(checks.fail("scanner", "down", "start clamd"))
    status, _, body = get(port, "/healthz")
    answer = json.loads(body)
    assert (status, answer["status"]) == (503, "failing")
    assert answer["checks"][2] == {
        "name": "scanner",
        "status": "fail",
        "text": "down",
        "advice": "start clamd",
        "facts": {},
    }


def test_an_error_of_ours_is_500_without_its_text(serve: Serve) -> None:
    def broken() -> bytes:
        raise RuntimeError("the inside")

    status, _, body = get(serve(broken, list), "/metrics")
    assert status == 500
    assert "inside" not in body


COUNT = "from mailgate.records import metrics; metrics.MESSAGES.labels('inbound', 'accept').inc({})"


def test_counts_of_all_processes_are_added_up_and_start_at_zero(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for number in (1, 2):
        subprocess.run([sys.executable, "-c", COUNT.format(number)], env=environ, check=True)
    sample = b'mailgate_messages_total{decision="accept",direction="inbound"}'
    assert sample + b" 3.0" in metrics.exposition(tmp_path)
    metrics.clean(tmp_path)
    assert sample not in metrics.exposition(tmp_path)


def test_open_connections_of_a_dead_process_do_not_count(tmp_path: Path) -> None:
    program = (
        "import os; from mailgate.records import metrics; metrics.OPEN_CONNECTIONS.labels('mx').inc();"
        "print(os.getpid())"
    )
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, check=True, capture_output=True)
    assert b'mailgate_open_connections{listener="mx"} 1.0' in metrics.exposition(tmp_path)
    metrics.forget(tmp_path, int(done.stdout))
    assert b'mailgate_open_connections{listener="mx"}' not in metrics.exposition(tmp_path)


def test_a_request_without_end_is_cut_off(serve: Serve) -> None:
    port = serve(lambda: b"x", list)
    for block in (b"GET /" + b"a" * 200_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client, contextlib.suppress(OSError):
            client.sendall(block)
            assert not client.recv(100).startswith(b"HTTP/1.0 200")
    assert get(port, "/metrics")[0] == 200


def test_one_request_too_many_is_hung_up_on(serve: Serve) -> None:
    port = serve(lambda: b"x", list)
    waiting = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(MOST_REQUESTS)]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one_more:
        assert one_more.recv(1) == b""
    for client in waiting:
        client.close()
    eventually(lambda: _is_answered(port), "the endpoint to answer again")


def _is_answered(port: int) -> bool:
    try:
        return get(port, "/metrics")[0] == 200
    except (OSError, http.client.HTTPException):
        return False
