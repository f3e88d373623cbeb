"""Who gets a connection, and who makes room: by the table itself, and on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge import connection as connection_module
from mailgate.edge import connections as connections_module
from mailgate.edge.connection import Connection
from mailgate.edge.connections import Connections, Seat
from mailgate.edge.data import GRACE_SECONDS, WINDOW_SECONDS, Pace
from mailgate.edge.limits import SessionLimits, neighbourhood_of, network_of
from mailgate.edge.shedding import MOST_LINES, Reason, Shedding
from mailgate.ops import tls
from mailgate.policy.schema import TenantPolicy
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, play, stage


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Table:
    """A table of connections with clients that wait as long as the test says."""

    def __init__(self, **limits: int) -> None:
        self.clock = Clock()
        self.limits = SessionLimits(**{"connections": 8, "submission_reserve": 25, **limits})  # type: ignore[arg-type]
        self.connections = Connections(Shedding(self.clock), self.clock)
        self.ended: list[str] = []

    def seat(self, address: str, waits: float = 0.0, *, submission: bool = False) -> Seat:
        return Seat(
            submission,
            network_of(address),
            neighbourhood_of(address),
            lambda: waits,
            lambda: self.ended.append(address),
        )

    def enter(self, address: str, waits: float = 0.0, *, submission: bool = False) -> Seat | None:
        self.clock.now += connections_module.LOOK_SECONDS
        seat = self.seat(address, waits, submission=submission)
        return seat if self.connections.enter(seat, self.limits) else None


def test_an_address_and_a_network_hold_so_many() -> None:
    table = Table(connections_per_address=2, connections_per_network=3)
    assert [bool(table.enter(f"192.0.2.{last}")) for last in (1, 1, 1, 2, 3)] == [True, True, False, True, False]
    assert table.enter("192.0.2.1", submission=True), "submission of the same address is counted apart"
    assert table.enter("198.51.100.1")


def test_a_network_may_hold_what_one_address_may() -> None:
    table = Table(connections_per_address=4, connections_per_network=2)
    assert [bool(table.enter("192.0.2.1")) for _ in range(5)] == [True] * 4 + [False]


def test_mx_leaves_the_reserve_to_submission() -> None:
    table = Table()
    assert [bool(table.enter(f"192.0.{number}.1")) for number in range(7)] == [True] * 6 + [False]
    assert table.enter("203.0.113.1", submission=True)
    assert table.enter("203.0.113.2", submission=True)
    assert not table.enter("203.0.113.3", submission=True)


def test_who_leaves_makes_room_once() -> None:
    table = Table()
    seats = [table.enter(f"192.0.{number}.1") for number in range(6)]
    assert seats[0] is not None
    table.connections.leave(seats[0])
    table.connections.leave(seats[0])
    assert table.connections.total == 5
    assert table.enter("192.0.7.1")
    assert not table.enter("192.0.8.1")


def test_the_idle_of_the_largest_network_make_room_for_a_newcomer() -> None:
    table = Table()
    for last in range(4):
        table.enter(f"192.0.2.{last}", waits=2.0)
    table.enter("198.51.100.1", waits=5.0)
    table.enter("198.51.101.1", waits=0.0)
    assert table.enter("203.0.113.1")
    assert [neighbourhood_of(each) for each in table.ended] == ["192.0.2.0/24"]
    assert table.enter("203.0.114.1")
    assert table.connections.total == 6


def test_the_largest_network_gets_no_seat_of_others() -> None:
    table = Table()
    for last in range(5):
        table.enter(f"192.0.2.{last}")  # busy
    table.enter("198.51.100.1", waits=3.0)
    assert not table.enter("192.0.2.9")
    assert not table.ended


def test_whoever_idles_for_long_goes_for_a_network_that_has_some() -> None:
    table = Table()
    for number in range(6):
        table.enter(f"192.0.{number}.1", waits=connections_module.PATIENCE + number + 1)
    assert table.enter("192.0.0.2")
    assert table.ended == ["192.0.5.1"]


def test_the_more_a_network_has_the_longer_it_waits_for_the_seats_of_others() -> None:
    table = Table(connections=20)
    for last in range(14):
        table.enter(f"192.0.2.{last}")  # busy
    table.enter("198.51.100.1", waits=14 * connections_module.PATIENCE)
    assert not table.enter("192.0.2.99")


def test_who_has_logged_in_stays_and_a_tenant_has_a_share() -> None:
    table = Table(connections_per_tenant=2)
    seats = [table.enter("192.0.2.1", waits=100.0, submission=True) for _ in range(8)]
    logged_in = [table.connections.log_in(seat, "acme", table.limits) for seat in seats if seat is not None]
    assert logged_in == [True] * 2 + [False] * 6
    assert [bool(table.enter(f"198.51.{number}.1", submission=True)) for number in range(8)] == [True] * 6 + [False] * 2
    assert len(table.ended) == 6
    assert seats[0] is not None
    table.connections.leave(seats[0])
    assert seats[1] is not None
    assert table.connections.log_in(table.seat("192.0.2.1"), "acme", table.limits)


def test_submission_beyond_its_reserve_makes_room_for_mx() -> None:
    table = Table()
    for number in range(8):
        table.enter(f"192.0.2.{number}", waits=1.0, submission=True)
    assert table.enter("198.51.100.1")
    assert len(table.ended) == 1


def test_newcomers_do_not_cost_a_look_at_all_seats_each() -> None:
    table = Table()
    looks = 0

    def waits() -> float:
        nonlocal looks
        looks += 1
        return 0.0

    for number in range(6):
        seat = Seat(False, f"192.0.{number}.1", f"192.0.{number}.0/24", waits, lambda: None)
        assert table.connections.enter(seat, table.limits)
    for _ in range(100):
        assert not table.connections.enter(table.seat("198.51.100.1"), table.limits)
    assert looks <= 12


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6), st.booleans(), st.floats(0, 20))))
def test_the_sums_always_hold(steps: list[tuple[int, int, bool, float]]) -> None:
    table = Table(connections_per_address=3, connections_per_network=4)
    held: set[Seat] = set()
    for network, last, submission, waits in steps:
        seat = table.enter(f"192.0.{network}.{last}", waits, submission=submission)
        if seat is not None:
            held.add(seat)
            seat.end = lambda seat=seat: held.discard(seat)  # type: ignore[misc]
        elif held and waits < 5:
            table.connections.leave(held.pop())
        assert table.connections.total == len(held) <= 8
        assert sum(not each.is_submission for each in held) <= 6


def test_the_log_of_an_attack_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    shedding = Shedding(clock)
    for number in range(10_000):
        shedding.tell(Reason.ADDRESS, f"192.0.2.{number % 500}")
    clock.now += 61
    shedding.tell(Reason.ADDRESS, "192.0.2.1")
    lines = capsys.readouterr().out.splitlines()
    assert MOST_LINES < len(lines) <= 2 * MOST_LINES + 2


def test_the_pace_of_a_message() -> None:
    pace = Pace(0.0)
    assert not pace.is_slow(GRACE_SECONDS, 0, 100)
    assert pace.is_slow(GRACE_SECONDS + 1, 0, 100)
    for second in range(0, 600, 5):
        pace.mark(float(second), 1_000_000)
        assert pace.is_slow(float(second), 1_000_000, 100) == (second >= WINDOW_SECONDS), second
    assert not pace.is_slow(600.0, 1_000_000, 0), "0 switches it off"


# On the wire

FAR = "127.1.0.1"  # another network than 127.0.0.0/24


async def until(condition: object) -> None:
    """`condition` is called until it is true."""
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def test_an_idle_client_makes_room_and_is_told_why(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        second = await on.connect("127.0.0.2")
        await second.hello()
        third = await on.connect(FAR)
        await third.hello()
        assert (await client.reply()).startswith("421 4.7.0 Idle while others wait")
        assert await client.reply() == "closed"
        await second.ask("NOOP", 250)
        assert on.edge.connections.total == 2

    play(part, tmp_path, connections=2, submission_reserve=0)


def test_a_tenants_own_server_makes_no_room(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        assert (await (await on.connect(FAR)).reply()).startswith("421 4.7.0 Too many")
        await client.ask("NOOP", 250)

    acme = TenantPolicy.model_validate({"sending": {"networks": ["127.0.0.1"]}})
    play(part, tmp_path, tenants={"acme": acme}, connections=1, submission_reserve=0)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["submission"]


@pytest.mark.parametrize("name", ["mx", "submissions"])
def test_a_connection_lost_in_the_handshake_leaves_its_seat(tmp_path: Path, context: ssl.SSLContext, name: str) -> None:
    async def part(on: Stage, client: Client) -> None:
        if name == "mx":
            await client.hello()
            await client.ask("STARTTLS", 220)
        await client.send(b"\x16\x03\x01\x02\x00")  # the first bytes of a ClientHello
        await until(lambda: on.edge.connections.total == 1)
        client.writer.transport.abort()
        await until(lambda: on.edge.connections.total == 0 and not on.edge.sessions)

    play(part, tmp_path, name=name, tls=context)


LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class TlsByHand:
    """The client's end of TLS over `client`, so that the test decides how its bytes come."""

    def __init__(self, client: Client) -> None:
        inside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        inside.check_hostname, inside.verify_mode = False, ssl.CERT_NONE
        self._client = client
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = inside.wrap_bio(self._coming, self._going)

    def client_hello(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._session.do_handshake()
        return self._going.read()

    async def _until_done(self, step: Callable[[], bytes | None]) -> bytes | None:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._client.send(self._going.read())
                self._coming.write(await self._client.reader.read(1 << 16))

    async def handshake(self) -> None:
        await self._until_done(self._session.do_handshake)
        await self._client.send(self._going.read())

    async def ask(self, line: bytes) -> bytes | None:
        self._session.write(line)
        return await self._until_done(lambda: self._session.read(1000))

    async def greeting(self) -> bytes | None:
        return await self._until_done(lambda: self._session.read(1000))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_proxy_and_the_first_bytes_of_tls_come_at_once(
    tmp_path: Path, context: ssl.SSLContext, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def run() -> None:
        proxies = (ipaddress.ip_network("127.0.0.0/8"),)
        async with asyncio.timeout(20), stage(tmp_path, name="submissions", tls=context, proxies=proxies) as on:
            client = await on.connect()
            by_hand = TlsByHand(client)
            await client.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 5555 465\r\n" + by_hand.client_hello())
            await by_hand.handshake()
            assert (await by_hand.greeting() or b"").startswith(b"220 ")
            (seen,) = on.edge.sessions
            assert seen.client.address == "192.0.2.9"

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


class HastyLoop:
    """As if `data` had arrived just when the session makes a task: uvloop reads before it begins one."""

    def __init__(self, session: Connection, data: bytes) -> None:
        self._loop, self._session, self._data = session.loop, session, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        self._session.data_received(self._data)
        return self._loop.create_task(coroutine)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_answer_to_220_comes_before_tls_has_the_transport(
    tmp_path: Path, context: ssl.SSLContext, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), stage(tmp_path, tls=context) as on:
            client = await on.connect()
            await client.hello()
            by_hand = TlsByHand(client)
            (session,) = on.edge.sessions
            session.loop = cast(asyncio.AbstractEventLoop, HastyLoop(session, by_hand.client_hello()))
            await client.ask("STARTTLS", 220)
            await by_hand.handshake()
            assert (await by_hand.ask(b"EHLO client.example\r\n") or b"").startswith(b"250-")

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def test_a_handshake_that_does_not_go_on_is_counted_and_makes_room(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await until(lambda: on.edge.connections.total == 1)
        other = await on.connect(FAR)
        assert await client.reply() == "closed"
        await other.handshake()
        await other.hello()

    play(part, tmp_path, name="submissions", tls=context, connections=1)


async def never_reading(on: Stage) -> socket.socket:
    """A client that pipelines commands and reads no reply, until the server has stopped reading."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    port = (await on.connect()).writer.get_extra_info("peername")[1]
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    await until(lambda: any(_number(each) == deaf.getsockname()[1] for each in on.edge.sessions))
    session = next(each for each in on.edge.sessions if _number(each) == deaf.getsockname()[1])
    assert session.transport is not None
    session.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await loop.sock_sendall(deaf, b"EHLO client.example\r\n")
    async with asyncio.timeout(20):
        while session._writable.is_set():
            await loop.sock_sendall(deaf, b"HELP\r\n" * 1000)
            await asyncio.sleep(0)
    return deaf


def _number(session: object) -> int:
    return session.client.port  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("limits", [{"idle_seconds": 0.2}, {"session_seconds": 0.2}])
def test_a_client_that_never_reads_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float]
) -> None:
    monkeypatch.setattr(connection_module, "WATCH_SECONDS", 0.02)

    async def part(on: Stage, client: Client) -> None:
        deaf = await never_reading(on)
        await until(lambda: not on.edge.sessions)
        assert on.edge.connections.total == 0
        deaf.close()

    play(part, tmp_path, commands=10**6, idle_commands=10**6, **limits)


def test_a_client_that_never_reads_does_not_hold_the_drain(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        deaf = await never_reading(on)
        on.edge.is_draining = True
        async with asyncio.timeout(10):
            await connection_module.close_all(on.edge.sessions, 60.0)
        deaf.close()

    play(part, tmp_path, commands=10**6, idle_commands=10**6)


def test_a_stalled_transaction_does_not_hold_the_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(connection_module, "DRAIN_PATIENCE", 0.1)

    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        on.edge.is_draining = True
        async with asyncio.timeout(10):
            await connection_module.close_all(on.edge.sessions, 60.0)
        assert (await client.reply()).startswith("421 4.3.2")

    play(part, tmp_path)


def test_chunks_that_trickle_are_one_slow_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr("mailgate.edge.data.GRACE_SECONDS", 0.2)

    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        answers = []
        while not answers or answers[-1].startswith("250"):
            await client.send(b"BDAT 2\r\nxy")
            answers.append(await client.reply())
            await asyncio.sleep(0.02)
        assert answers[-1].startswith("421 4.4.2 Data arrives too slowly") or answers[-1] == "closed"

    play(part, tmp_path, data_bytes_per_second=100_000, commands=10**6)


def test_pipelined_commands_do_not_hold_up_the_others(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        (session,) = on.edge.sessions
        await client.send(b"NOOP\r\n" * 8000)
        other = await on.connect()
        await other.hello()
        assert session._counts["commands"] < 8000

    play(part, tmp_path, idle_commands=10**6)
