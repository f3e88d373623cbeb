"""The web server of MTA-STS policy files: what it serves, and what it withstands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge import sts_site
from mailgate.edge.sts_site import PATH, REQUEST_LIMIT, StsSite
from mailgate.model.errors import UnavailableError
from mailgate.policy.schema import GatewayPolicy, TenantPolicy
from mailgate.policy.snapshot import Snapshot
from mailgate.transport.mta_sts import Mode, parse_policy
from tests.edge.dialogue import FakeStore

HOST = "mta-sts.acme.example"


def site(store: FakeStore | None = None, **mta_sts: Any) -> StsSite:
    acme = TenantPolicy.model_validate({"mta_sts": mta_sts})
    snapshot = Snapshot(built_in=GatewayPolicy(), gateway=GatewayPolicy(), tenants={"acme": acme})
    return StsSite("mx.gateway.example", lambda: snapshot, (store or FakeStore()).resolve)


def asked(request: bytes, of: StsSite | None = None) -> bytes:
    """All that comes back on one connection."""

    async def run() -> bytes:
        async with asyncio.timeout(20):
            server = await asyncio.start_server((of or site()).serve, "127.0.0.1", 0, limit=REQUEST_LIMIT)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(request)
            answer = await reader.read()
            writer.close()
            server.close()
            return answer

    return asyncio.run(run())


def get(host: str = HOST, path: str = PATH, method: str = "GET", **policy: Any) -> tuple[int, str]:
    answer = asked(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: t\r\n\r\n".encode(), site(**policy))
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert "Content-Type: text/plain\r\n" in head and "Connection: close" in head
    return int(head.split()[1]), body


def test_the_policy_of_a_hosted_domain() -> None:
    status, body = get()
    found = parse_policy(body)
    assert (status, found.mode, found.mx, found.max_age) == (200, Mode.ENFORCE, ("mx.gateway.example",), 604_800)


def test_what_the_tenant_wants() -> None:
    _, body = get(mode="testing", max_age=86_400, mx=["*.acme.example", "mx.acme.example"])
    found = parse_policy(body)
    assert (found.mode, found.mx, found.max_age) == (Mode.TESTING, ("*.acme.example", "mx.acme.example"), 86_400)


@pytest.mark.parametrize("host", ["MTA-STS.Acme.Example", f"{HOST}:8443"])
def test_the_name_as_clients_write_it(host: str) -> None:
    assert get(host)[0] == 200


@pytest.mark.parametrize(
    ("host", "path", "policy"),
    [
        ("mta-sts.elsewhere.example", PATH, {}),
        ("acme.example", PATH, {}),
        ("mta-sts", PATH, {}),
        ("mta-sts.-.example", PATH, {}),
        (HOST, "/", {}),
        (HOST, PATH + "?x", {}),
        (HOST, PATH + "/..", {}),
        (HOST, PATH, {"mode": "off"}),
    ],
)
def test_everything_else_is_404(host: str, path: str, policy: dict[str, Any]) -> None:
    assert get(host, path, **policy)[0] == 404


def test_head_has_no_body_and_post_is_refused() -> None:
    assert get(method="HEAD") == (200, "")
    assert get(method="POST")[0] == 405


def test_while_the_store_is_away() -> None:
    request = f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    assert asked(request, site(FakeStore(fault=UnavailableError("away")))).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"EHLO client.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a.example\r\n\r\n",
        b"GET " + b"/x" * REQUEST_LIMIT + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request(request_bytes: bytes) -> None:
    assert asked(request_bytes).startswith(b"HTTP/1.1 400 ")


def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_site, "REQUEST_SECONDS", 0.05)
    assert asked(b"GET / HT") == b""


def test_only_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_site, "MOST_CONNECTIONS", 0)
    assert asked(b"") == b""


@given(st.binary(max_size=80))
def test_any_bytes_get_an_answer_or_none(data: bytes) -> None:
    async def run(answer: Callable[[asyncio.StreamReader], Awaitable[bytes]]) -> bytes:
        reader = asyncio.StreamReader(limit=REQUEST_LIMIT)
        reader.feed_data(data.replace(b"\r\n\r\n", b"") + b"\r\n\r\n")
        reader.feed_eof()
        return await answer(reader)

    assert asyncio.run(run(site()._answer)).startswith((b"HTTP/1.1 40", b"HTTP/1.1 503"))
