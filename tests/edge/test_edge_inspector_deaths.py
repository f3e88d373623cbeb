"""What ended an inspector, and whom that is laid at the door of. Real inspectors under a real supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mailgate.edge.budget import Budget
from mailgate.edge.inspectors import InspectionFailedError, Inspectors
from mailgate.edge.staging import Staging
from mailgate.edge.turns import NOBODYS
from mailgate.ipc.endings import Endings
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.verdict import Inspection, Unscanned
from mailgate.ops.child import ChildSpec
from mailgate.ops.supervisor import Supervisor
from tests.support.components import REPOSITORY
from tests.support.gateway import short_folder

LIMITS = InspectLimits(cpu_seconds=0.5)
INSPECTOR = """
import ctypes, os, sys, time
import mailgate.inspect.worker as worker
from mailgate.model.verdict import Inspection
def inspect(raw, *given):
    os.write({diary}, raw + b"\\n")
    while raw == b"spin":
        pass
    if raw == b"crash":
        ctypes.string_at(0)
    if raw == b"wait":
        time.sleep(60)
    return Inspection(parts=())
worker.inspect = inspect
closing = worker.close_inherited
worker.close_inherited = lambda *keep: closing(*keep, {diary})
options = dict(each.lstrip("-").split("=", 1) for each in sys.argv[1:])
os.write(int(options["ready-fd"]), b"1")
os.close(int(options["ready-fd"]))
worker.main({listener}, ["unix:/nonexistent/clamd.sock"], "nobody")
"""


class Scene:
    """One inspector for all, which writes down what it begins with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "inspector.sock"
        self.endings = Endings.make(1)
        self.edges = [Inspectors([self.path], endings=Endings(self.endings.descriptor)) for _ in range(2)]
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self.path.chmod(0o666)
        self._listener.listen(16)
        self._begun = b""

    def spec(self) -> ChildSpec:
        program = INSPECTOR.format(diary=self._write, listener=self._listener.fileno())
        inherited = (self._write, self._listener.fileno())
        environ = {"PYTHONPATH": str(REPOSITORY)}
        command = (sys.executable, "-c", program)
        return ChildSpec("inspector-0", command, inherited, environ, on_end=partial(self.endings.ended, 0))

    async def inspect(self, content: bytes, edge: int = 0) -> Inspection:
        staging = Staging(self.folder / "none", 1 << 20, Budget(1 << 20))
        staging.write(content)
        staging.complete()
        return await self.edges[edge].inspect(staging, LIMITS, True, NOBODYS)

    async def begun(self, content: bytes, times: int = 1) -> None:
        """Returns once the inspector has begun with this for the nth time."""
        while self._begun.split(b"\n").count(content) < times:
            try:
                self._begun += os.read(self._read, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.01)

    def close(self) -> None:
        for descriptor in (self._read, self._write, self.endings.descriptor):
            os.close(descriptor)
        self._listener.close()
        self.path.unlink()
        self.folder.rmdir()


Play = Callable[[Scene, Supervisor], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Play], None]]:
    monkeypatch.setattr("mailgate.ops.backoff.DELAYS", (0.0,))
    scene = Scene(short_folder("mg-deaths-"))

    async def main(play: Play) -> None:
        supervisor = Supervisor([[scene.spec()]], dict(os.environ), tmp_path, lambda: None)
        up = asyncio.Event()
        running = asyncio.ensure_future(supervisor.run(up.set))
        async with asyncio.timeout(60):
            await up.wait()
            try:
                await play(scene, supervisor)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                await running

    yield lambda play: asyncio.run(main(play))
    scene.close()


def kill(supervisor: Supervisor, number: signal.Signals) -> None:
    supervisor._children["inspector-0"].send(number)


@pytest.mark.parametrize("content", [b"spin", b"crash"])
def test_the_second_time_that_an_inspector_dies_of_a_message_it_is_not_scanned(
    run: Callable[[Play], None], content: bytes
) -> None:
    async def play(scene: Scene, supervisor: Supervisor) -> None:
        with pytest.raises(InspectionFailedError):
            await scene.inspect(content)
        found = await scene.inspect(content)
        assert [part.reason for part in found.parts] == [Unscanned.WORKER]

    run(play)


def test_what_is_killed_from_outside_is_tried_again_but_not_for_ever(run: Callable[[Play], None]) -> None:
    async def play(scene: Scene, supervisor: Supervisor) -> None:
        for time in range(1, 6):
            asked = asyncio.ensure_future(scene.inspect(b"wait"))
            await scene.begun(b"wait", time)
            kill(supervisor, signal.SIGKILL)
            if time < 5:
                with pytest.raises(InspectionFailedError):
                    await asked
        assert [part.reason for part in (await asked).parts] == [Unscanned.WORKER]
        assert not (await scene.inspect(b"harmless")).parts

    run(play)


@pytest.mark.parametrize("ending", ["by itself", signal.SIGKILL])
def test_what_an_inspector_had_not_begun_with_goes_to_the_next_one(
    run: Callable[[Play], None], ending: str | signal.Signals
) -> None:
    """Another edge's message waits behind the one that ends the inspector."""

    async def play(scene: Scene, supervisor: Supervisor) -> None:
        await scene.inspect(b"warm", edge=1)  # its connection is accepted
        first = asyncio.ensure_future(scene.inspect(b"wait" if isinstance(ending, signal.Signals) else b"spin"))
        await scene.begun(b"wait" if isinstance(ending, signal.Signals) else b"spin")
        second = asyncio.ensure_future(scene.inspect(b"innocent", edge=1))
        while not scene.edges[1]._lines[0]._answer:
            await asyncio.sleep(0)
        if isinstance(ending, signal.Signals):
            kill(supervisor, ending)
        with pytest.raises(InspectionFailedError):
            await first
        assert not (await second).parts
        assert not scene.edges[1]._failed

    run(play)
