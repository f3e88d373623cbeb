"""One process under the supervisor: how it is started, tells that it is ready, and ends with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailgate.settings import PREFIX, Settings


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """`command` is followed by --ready-fd, --parent and --name; `descriptors` are inherited; `environ` is added to that
    of all; `reloads`: SIGHUP means something to it; `on_end` is called with the status of each that has ended."""

    name: str
    command: tuple[str, ...]
    descriptors: tuple[int, ...]
    environ: Mapping[str, str]
    reloads: bool = True
    on_end: Callable[[int], None] = lambda status: None


def environment(settings: Settings) -> dict[str, str]:
    """These very settings as MAILGATE_* variables, so that a child started later runs with what the first one had."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return own | settings.variables() | {f"{PREFIX}CONFIG": ""}


class Child:
    """A started process. `ready` and `ended` are awaitable; the descriptors for both are watched by the event loop."""

    def __init__(self, spec: ChildSpec, environ: Mapping[str, str]) -> None:
        self.spec = spec
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.started = loop.time()
        self.is_ready: asyncio.Future[bool] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self._pipe, writer = os.pipe()
        self._process = subprocess.Popen(
            [
                *spec.command,
                *(f"--ready-fd={writer}", f"--parent={os.getpid()}", f"--name={spec.name}"),
            ],
            env={**environ, **spec.environ},
            stdin=subprocess.DEVNULL,
            pass_fds=(*spec.descriptors, writer),
            process_group=0,  # Ctrl-C in a terminal is for the supervisor, which drains
        )
        os.close(writer)
        self._pidfd = os.pidfd_open(self._process.pid)
        loop.add_reader(self._pipe, self._on_pipe)
        loop.add_reader(self._pidfd, self._on_exit)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lived(self) -> float:
        """Seconds since the start."""
        return self._loop.time() - self.started

    def send(self, number: signal.Signals) -> None:
        """Nothing happens where the process has ended."""
        self._process.send_signal(number)

    def _on_pipe(self) -> None:
        self._loop.remove_reader(self._pipe)
        told = os.read(self._pipe, 1)
        os.close(self._pipe)
        if not self.is_ready.done():
            self.is_ready.set_result(bool(told))

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.ended.set_result(self._process.wait())


def describe(status: int) -> str:
    """`exit status 3` or `killed by SIGKILL`, from a Popen return code."""
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


def announcer(descriptor: int) -> Callable[[], None]:
    """What the child calls once when it serves: the supervisor reads it from the other end of the pipe."""

    def ready() -> None:
        os.write(descriptor, b"1")
        os.close(descriptor)

    return ready
