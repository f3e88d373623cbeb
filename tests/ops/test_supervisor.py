"""Processes: started in order, started again, drained, and never left behind. The children here are small programs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mailgate.ops.child import ChildSpec, describe, environment
from mailgate.ops.supervisor import StartError, Supervisor
from mailgate.settings import Settings
from tests.ops.conftest import Make

CHILD = """
import os, signal, sys
options = dict(each.lstrip('-').split('=', 1) for each in sys.argv[1:])
diary = open(options['diary'], 'a', buffering=1)
def tell(what):
    diary.write(f"{options['name']} {what}\\n")
def leave(number, frame):
    tell('leaves')
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGHUP, lambda number, frame: tell('reloads'))
tell(f'starts {os.getpid()}')
os.write(int(options['ready-fd']), b'1')
while True:
    signal.pause()
"""


class Diary:
    """What the children wrote, line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[2]) for line in self.lines() if line.startswith(f"{name} starts")]

    def order(self, what: str) -> list[str]:
        return [line.split()[0] for line in self.lines() if line.split()[1] == what]


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


def spec(name: str, diary: Diary, reloads: bool = True) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-c", CHILD, f"--diary={diary.path}"), (), {}, reloads)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def supervise(
    groups: list[list[ChildSpec]], tmp_path: Path, play: Callable[[Supervisor], Awaitable[None]]
) -> list[str]:
    """Run a supervisor; once it is up `play`, then SIGTERM. Returns what happened to itself."""
    happened: list[str] = []

    async def main() -> None:
        supervisor = Supervisor(groups, dict(os.environ), tmp_path, lambda: happened.append("drains"))
        up = asyncio.Event()
        running = asyncio.ensure_future(supervisor.run(lambda: (happened.append("up"), up.set())[0]))
        await asyncio.wait((running, asyncio.ensure_future(up.wait())), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await play(supervisor)
            os.kill(os.getpid(), signal.SIGTERM)
        await running
        happened.append("ended")

    asyncio.run(main())
    return happened


def test_groups_start_in_order_and_stop_in_the_reverse_one(tmp_path: Path, diary: Diary) -> None:
    async def play(supervisor: Supervisor) -> None:
        assert supervisor.states() == {"store": True, "inspector-0": True, "edge-0": True}

    groups = [[spec("store", diary)], [spec("inspector-0", diary)], [spec("edge-0", diary)]]
    assert supervise(groups, tmp_path, play) == ["up", "drains", "ended"]
    assert diary.order("starts") == ["store", "inspector-0", "edge-0"]
    assert diary.order("leaves") == ["edge-0", "inspector-0", "store"]


def test_a_killed_process_is_started_again_and_the_others_go_on(tmp_path: Path, diary: Diary) -> None:
    async def play(supervisor: Supervisor) -> None:
        os.kill(diary.pids("store")[0], signal.SIGKILL)
        await until(lambda: len(diary.pids("store")) == 2)
        await until(lambda: all(supervisor.states().values()))

    supervise([[spec("store", diary)], [spec("edge-0", diary)]], tmp_path, play)
    assert len(diary.pids("edge-0")) == 1
    assert diary.order("leaves") == ["edge-0", "store"]


def test_a_process_that_is_down_shows_in_the_states(tmp_path: Path, diary: Diary) -> None:
    async def play(supervisor: Supervisor) -> None:
        for death in range(3):  # the third restart waits
            await until(lambda death=death: len(diary.pids("store")) == death + 1)
            os.kill(diary.pids("store")[death], signal.SIGKILL)
        await until(lambda: not supervisor.states()["store"])

    supervise([[spec("store", diary)]], tmp_path, play)


def test_sighup_goes_to_those_that_reload(tmp_path: Path, diary: Diary) -> None:
    async def play(supervisor: Supervisor) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(diary.order("reloads")) == 2)

    supervise(
        [[spec("store", diary), spec("inspector-0", diary, reloads=False), spec("edge-0", diary)]], tmp_path, play
    )
    assert sorted(diary.order("reloads")) == ["edge-0", "store"]


def test_a_process_that_cannot_start_ends_the_supervisor_and_what_runs(tmp_path: Path, diary: Diary) -> None:
    async def play(supervisor: Supervisor) -> None:
        raise AssertionError("it came up")

    broken = ChildSpec("edge-0", (sys.executable, "-c", "raise SystemExit(3)"), (), {})
    with pytest.raises(StartError, match=r"edge-0 did not start \(exit status 3\)"):
        supervise([[spec("store", diary)], [broken]], tmp_path, play)
    assert diary.order("leaves") == ["store"]


def test_a_second_signal_kills_a_process_that_does_not_drain(tmp_path: Path, diary: Diary) -> None:
    stubborn = CHILD.replace("sys.exit(0)", "pass")

    async def play(supervisor: Supervisor) -> None:
        async def insist() -> None:
            await until(lambda: diary.order("leaves") == ["edge-0"])
            os.kill(os.getpid(), signal.SIGTERM)

        tasks.append(asyncio.ensure_future(insist()))

    tasks: list[asyncio.Future[None]] = []
    edge = ChildSpec("edge-0", (sys.executable, "-c", stubborn, f"--diary={diary.path}"), (), {})
    assert supervise([[edge]], tmp_path, play) == ["up", "drains", "ended"]


ORPHAN = """
import os, subprocess, sys
from mailgate.sandbox.process import die_with
if len(sys.argv) > 1:
    die_with(int(sys.argv[1]))
    print(os.getpid(), flush=True)
    sys.stdin.read()  # for ever: the test holds the other end
else:
    subprocess.Popen([sys.executable, "-c", os.environ["ORPHAN"], str(os.getpid())])
    sys.stdin.read()
"""


def test_a_child_dies_with_a_parent_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "ORPHAN": ORPHAN},
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        pidfd = os.pidfd_open(child)
        parent.kill()
        assert parent.stdout.read() == b""  # every holder of the pipe is gone, the child among them
        os.close(pidfd)


def test_a_child_whose_parent_is_gone_already_dies_at_once() -> None:
    program = "from mailgate.sandbox.process import die_with; die_with(1 << 30); print('lives')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(("status", "text"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "killed by SIGKILL")])
def test_an_end_is_described(status: int, text: str) -> None:
    assert describe(status) == text


def test_a_child_gets_the_very_settings_of_its_parent(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(workers=3, clamd=["unix:/a", "tcp:[::1]:3310"], tls_cert="c", tls_key="k")
    monkeypatch.setenv("MAILGATE_TLS_CERT", "/other")
    for name in list(os.environ):
        if name.startswith("MAILGATE_"):
            monkeypatch.delenv(name)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings  # type: ignore[call-arg]
