"""`mailgate serve`: starts the processes, starts the dead ones again, drains on SIGTERM, forwards SIGHUP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mailgate.model.errors import UnavailableError
from mailgate.ops.backoff import Backoff
from mailgate.ops.child import Child, ChildSpec, describe
from mailgate.records import log, metrics

DRAIN_SECONDS = 75.0
"""Longer than the 60 s that the edge may take from the final dot to its reply."""

logger = log.get(__name__)


class StartError(UnavailableError):
    """A process ended before everything was up; it has said why itself. `status` is its exit status."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"{name} did not start ({describe(status)}); see its message above")
        self.status = status


class Supervisor:
    """`groups` start in their order, each once the one before is ready, and stop in the reverse order.

    `counted` is the folder of the metrics; `on_drain` is called before the first process is told to end."""

    def __init__(
        self,
        groups: Sequence[Sequence[ChildSpec]],
        environ: Mapping[str, str],
        counted: Path,
        on_drain: Callable[[], None],
    ) -> None:
        self._groups = groups
        self._environ = environ
        self._counted = counted
        self._on_drain = on_drain
        self._children: dict[str, Child] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._draining: set[str] = set()
        self._stop = asyncio.Event()

    def states(self) -> dict[str, bool]:
        """Which of the processes that should run do."""
        return {
            spec.name: (child := self._children.get(spec.name)) is not None and not child.ended.done()
            for group in self._groups
            for spec in group
        }

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; StartError where a process can't even start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hang_up)
        try:
            for group in self._groups:
                if not await self._start(group):
                    return
            on_ready()
            await self._stop.wait()
        finally:
            self._on_drain()
            for group in reversed(self._groups):
                await self._drain([spec.name for spec in group])
            for keeper in self._keepers:
                keeper.cancel()

    async def _start(self, group: Sequence[ChildSpec]) -> bool:
        """False where a signal came in between."""
        for spec in group:
            self._spawn(spec)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            for spec in group:
                child = self._children[spec.name]
                await asyncio.wait((child.is_ready, child.ended, stop), return_when=asyncio.FIRST_COMPLETED)
                if stop.done():
                    return False
                if child.ended.done() or not child.is_ready.result():
                    raise StartError(spec.name, await child.ended)
        finally:
            stop.cancel()
        for spec in group:
            self._keepers.append(asyncio.ensure_future(self._keep(spec)))
        return True

    def _spawn(self, spec: ChildSpec) -> Child:
        child = self._children[spec.name] = Child(spec, self._environ)
        logger.debug("process started", name=spec.name, child=child.pid)
        return child

    async def _keep(self, spec: ChildSpec) -> None:
        """Starts one process again whenever it ends."""
        backoff = Backoff()
        while True:
            child = self._children[spec.name]
            status = await child.ended
            spec.on_end(status)
            if spec.name in self._draining:
                return
            backoff, delay = backoff.after_death(child.lived)
            metrics.forget(self._counted, child.pid)
            logger.error("process died", name=spec.name, child=child.pid, status=describe(status), restart_in=delay)
            await asyncio.sleep(delay)
            if spec.name in self._draining:
                return
            self._spawn(spec)

    async def _drain(self, names: Sequence[str]) -> None:
        """Ask these to finish what runs; kill those that take too long."""
        self._draining.update(names)
        running = [child for name in names if (child := self._children.get(name)) and not child.ended.done()]
        for child in running:
            child.send(signal.SIGTERM)
        if running:
            await asyncio.wait([child.ended for child in running], timeout=DRAIN_SECONDS)
        for child in running:
            if not child.ended.done():
                logger.error("process killed: it did not end in time", name=child.spec.name, child=child.pid)
                child.send(signal.SIGKILL)
                await child.ended

    def _on_stop(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            logger.warning("second signal: ending at once", signal=number.name)
            for child in self._children.values():
                child.send(signal.SIGKILL)
            return
        logger.info("draining", signal=number.name)
        self._stop.set()

    def _on_hang_up(self) -> None:
        logger.info("reloading policies and certificates")
        for child in self._children.values():
            # one that has not set up its signals yet would die of it, and reads everything anew anyway
            if child.spec.reloads and child.is_ready.done():
                child.send(signal.SIGHUP)
