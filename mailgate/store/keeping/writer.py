"""The one thread that writes the spool. What waits when it is free goes into one transaction: one sync for all (group
commit). While the disk syncs, the next group gathers, so the size of groups follows the load by itself."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from mailgate.ipc.frames import StorageFullError
from mailgate.model.errors import MailgateError
from mailgate.records.metrics import COMMIT_SECONDS
from mailgate.spool import durable
from mailgate.spool.queue import SpoolStore

MOST_JOBS = 512
IDLE_SECONDS = 0.5
LINGER_SECONDS = 0.02

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """`apply` runs inside the transaction; `future` (of `loop`) or `then` gets its result after the commit. `durable`
    False: no sync is made for this job alone. `synced` gets the result once it is on stable storage, at once or later.
    `then` and `synced` run in the writer's thread."""

    apply: Callable[[SpoolStore], Any]
    durable: bool = True
    loop: asyncio.AbstractEventLoop | None = None
    future: asyncio.Future[Any] | None = None
    then: Callable[[Any, Exception | None], None] | None = None
    synced: Callable[[Any], None] | None = None
    result: Any = None
    error: Exception | None = None


class Writer:
    """All changes of the spool go through `do` (event loop), `do_blocking` (other threads) or `submit`."""

    def __init__(self, spool: SpoolStore) -> None:
        self._spool = spool
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._awaiting_sync: list[Job] = []
        self._is_idle_work_left = False
        self._thread = threading.Thread(target=self._run_or_die, name="spool-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once everything submitted before is done."""
        self._jobs.put(None)
        self._thread.join()

    def submit(self, job: Job) -> None:
        self._jobs.put(job)

    async def do(
        self, apply: Callable[[SpoolStore], T], durable: bool = True, synced: Callable[[T], None] | None = None
    ) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(Job(apply, durable, loop, future, synced=synced))
        return await future

    def do_blocking(self, apply: Callable[[SpoolStore], T], synced: Callable[[T], None] | None = None) -> T:
        done: Future[T] = Future()

        def settle(result: T, error: Exception | None) -> None:
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        self._jobs.put(Job(apply, then=settle, synced=synced))
        return done.result()

    def _run_or_die(self) -> None:
        try:
            self._run()
        except Exception:
            _log.exception("the writer failed")
            durable.die("nothing can be kept without the writer")

    def _run(self) -> None:
        while True:
            group, is_last = self._gather()
            if group:
                self._commit(group)
                _settle(group)
                self._is_idle_work_left = True
            if not group or is_last or self._spool.log_is_long:
                self._rest()
            if is_last:
                return

    def _gather(self) -> tuple[list[Job], bool]:
        """All that waits; nothing after a pause in which nothing came. True with it when it is the end. What can do
        without a sync of its own waits a little for something to go with."""
        group: list[Job] = []
        is_durable = False
        try:
            job = self._jobs.get(timeout=IDLE_SECONDS if self._is_idle_work_left else None)
            end = time.monotonic() + LINGER_SECONDS
            while job is not None:
                group.append(job)
                is_durable = is_durable or job.durable
                if len(group) == MOST_JOBS:
                    return group, False
                patience = 0.0 if is_durable else max(0.0, end - time.monotonic())
                job = self._jobs.get(timeout=patience)
        except queue.Empty:
            return group, False
        return group, True

    def _commit(self, group: list[Job]) -> None:
        """One transaction for all; where one of them fails, each in its own, so that it fails alone."""
        try:
            self._transact(group)
        except Exception as error:
            if len(group) > 1:
                for job in group:
                    self._commit([job])
                return
            if not isinstance(error, MailgateError):
                _log.exception("a change of the spool failed")
            group[0].result, group[0].error = None, error

    def _transact(self, group: list[Job]) -> None:
        is_durable, began = any(job.durable for job in group), time.monotonic()
        self._spool.begin(is_durable)
        try:
            for job in group:
                job.result = job.apply(self._spool)
            self._spool.commit()
        except BaseException:
            self._spool.rollback()
            raise
        if is_durable:
            COMMIT_SECONDS.observe(time.monotonic() - began)
        self._awaiting_sync += [job for job in group if job.synced is not None]
        self._tell_synced()

    def _tell_synced(self) -> None:
        """Only what the spool itself calls synced: contents are deleted on the strength of it."""
        if not self._spool.is_synced:
            return
        jobs, self._awaiting_sync = self._awaiting_sync, []
        for job in jobs:
            assert job.synced is not None
            try:
                job.synced(job.result)
            except Exception:
                _log.exception("clearing up after a commit failed")

    def _rest(self) -> None:
        """In a pause: what went without a sync gets one, and the log goes into the database. What a full disk or a
        reader hinders is tried again in the next pause."""
        try:
            self._spool.sync()
            self._tell_synced()
            self._is_idle_work_left = not self._spool.checkpoint()
        except StorageFullError as error:
            _log.error("%s; make room on this file system", error)


def _settle(group: list[Job]) -> None:
    """One wake-up of an event loop for the whole group."""
    for job in group:
        if job.then is not None:
            try:
                job.then(job.result, job.error)
            except Exception:
                _log.exception("work after a commit failed")
    waiting = [job for job in group if job.future is not None and job.loop is not None]
    for loop in {job.loop for job in waiting if job.loop is not None}:
        loop.call_soon_threadsafe(_resolve, [job for job in waiting if job.loop is loop])


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        assert job.future is not None
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
