"""The relay process: leases what is due, keeps as many attempts under way as the next hops take, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import time
from collections.abc import Callable

from mailgate.ipc import keys
from mailgate.ipc.calls import DirectoryChanged, PolicyChanged, Push, RelayWork, Welcome
from mailgate.ipc.line import StoreLine
from mailgate.model.dns import Resolver
from mailgate.model.errors import MailgateError
from mailgate.policy.snapshot import Snapshot
from mailgate.records import log
from mailgate.relay import delivery, key_rotation
from mailgate.relay.delivery import Parts
from mailgate.relay.dispatcher import Dispatcher, Result
from mailgate.relay.dmarc_reporting import DmarcReporter
from mailgate.relay.forwarding import Forwarding
from mailgate.relay.handover import Handover
from mailgate.relay.job import Job
from mailgate.relay.kept_outcomes import KeptOutcomes
from mailgate.relay.opening import Opener
from mailgate.relay.outcomes import Outcomes
from mailgate.relay.planning import Planner, Surroundings
from mailgate.relay.pool import SessionPool
from mailgate.relay.report_mailing import ReportMailer
from mailgate.relay.report_sending import ReportSender
from mailgate.relay.reporting import Reporting
from mailgate.relay.signing import Signer
from mailgate.relay.timeouts import Timeouts
from mailgate.route.resolver import DnsResolver
from mailgate.settings import Listen, Settings
from mailgate.transport.memory import HostMemory
from mailgate.transport.report_store import ReportStore
from mailgate.transport.sts_cache import StsCache

LEASED_AT_ONCE = 256
WORTH_A_LEASE = 32
"""A lease costs the store a transaction, however few it hands out: so many had better be wanted while others wait."""
LONGEST_WAIT = 60.0
STUCK_SECONDS = 0.5
SWEEP_SECONDS = 2.0
REPORT_SECONDS = 900.0
KEYS_SECONDS = 3600.0
DRAIN_SECONDS = 60.0
KEPT_SECONDS = 5.0  # for outcomes that the store does not take: the next start finds them

_logger = log.get(__name__)


class RelayProcess:
    """Built in an event loop; `run` works until `stop` is set. `resolver`: of the settings where none is given."""

    def __init__(
        self,
        settings: Settings,
        timeouts: Timeouts | None = None,
        resolver: Resolver | None = None,
        clock: Callable[[], float] = time.time,
        key: bytes = b"",
    ) -> None:
        self._clock = clock
        self._has_policy = asyncio.Event()
        self._changed = asyncio.Event()
        self._snapshot: Snapshot | None = None
        self._dispatcher: Dispatcher[Job] = Dispatcher()
        self._running: set[asyncio.Task[None]] = set()
        self._waits_for_room = False
        self._is_short_of_room = False
        self._store = StoreLine(settings.store_path, keys.RELAY, self._welcomed, self._pushed, key)
        holder = secrets.token_hex(8)
        limits = timeouts or Timeouts()
        self._names = names = resolver or DnsResolver(settings.resolver, settings.resolver_trusted, time.monotonic)
        folder = settings.data_dir / "transport"
        self._reports = ReportStore(folder / "tls-reports", clock)
        around = surroundings(settings)
        self._sts = StsCache(names, folder / "mta-sts", clock, around.allows)
        self._handover = Handover(self._store, settings.mx_listen, time.monotonic)
        self._signer = Signer(self._store, names, clock)
        mailer = ReportMailer(self._store, self._signer, settings.hostname, clock)
        self._tls_sender = ReportSender(self._reports, names, settings.hostname, clock, around.allows, mailer)
        self._dmarc_reporter = DmarcReporter(self._store, names, mailer, clock)
        self._parts = Parts(
            store=self._store,
            holder=holder,
            policy=self._policy,
            handover=self._handover,
            planner=Planner(names, self._sts.policy, around),
            signer=self._signer,
            forwarding=Forwarding(self._store, self._signer, settings.hostname, clock),
            opener=Opener(settings.hostname, HostMemory(time.monotonic), limits, clock),
            pool=SessionPool(time.monotonic),
            outcomes=Outcomes(self._store, holder, self._changed.set, kept=KeptOutcomes(folder / "outcomes")),
            reporting=Reporting(self._reports),
            timeouts=limits,
            since_boot=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        )

    def _welcomed(self, welcome: Welcome) -> None:
        self._take_policy(welcome.policy)
        self._handover.forget()
        self._has_policy.set()
        self._changed.set()

    def _take_policy(self, encoded: bytes) -> None:
        self._snapshot = Snapshot.decode(encoded)

    def _pushed(self, push: Push) -> None:
        match push:
            case PolicyChanged(policy=policy):
                self._take_policy(policy)
            case DirectoryChanged():
                self._handover.forget()
                self._signer.forget()
            case RelayWork():
                self._changed.set()

    def _policy(self) -> Snapshot:
        assert self._snapshot is not None
        return self._snapshot

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Works from the moment the store has sent the policy; on `stop` attempts under way are finished, the rest goes
        back to the queue."""
        chores = (self._store.keep(), self._sweep(), self._report(), self._look_at_keys())
        background = [asyncio.create_task(chore) for chore in chores]
        await self._has_policy.wait()
        self._parts.outcomes.restore()
        work = asyncio.create_task(self._work())
        ready()
        await stop.wait()
        await _cancel(work)
        await self._drain()
        await _cancel(*background)
        self._reports.save()
        self._store.close()

    async def _work(self) -> None:
        """Until cancelled: lease, start, wait."""
        while True:
            self._changed.clear()
            pause = STUCK_SECONDS
            room = min(self._dispatcher.room, LEASED_AT_ONCE)
            self._waits_for_room = not room
            self._is_short_of_room = room < WORTH_A_LEASE
            if room and not self._parts.outcomes.is_stuck:
                pause = await self._lease(room)
            self._start()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _lease(self, room: int) -> float:
        """Seconds until the next lease is worth a call."""
        try:
            jobs, due = await delivery.lease(self._parts, room, self._dispatcher.full())
        except MailgateError as error:
            _logger.warning("no lease", reason=str(error))
            return 1.0
        for job in jobs:
            self._dispatcher.add(job)
        if due is None:
            return LONGEST_WAIT
        wait = due - self._clock()
        if wait > 0:
            return min(wait, LONGEST_WAIT)
        if jobs and not self._is_short_of_room:
            return 0.0
        # what is due and was not handed out waits for a lane that is full, or for more room
        self._waits_for_room = True
        return STUCK_SECONDS

    def _start(self) -> None:
        """What may start now: nothing whose outcome could not be put on record."""
        while not self._parts.outcomes.is_stuck and (job := self._dispatcher.next()) is not None:
            task = asyncio.create_task(self._deliver(job))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _deliver(self, job: Job) -> None:
        result, outcome = await delivery.deliver(self._parts, job)
        self._dispatcher.finished(job, result)
        if result is Result.DEAD:
            for other in self._dispatcher.give_up(job.lane):
                delivery.share(self._parts, other, outcome)
        self._start()
        if self._waits_for_room and self._has_room_again(job.lane):
            self._changed.set()

    def _has_room_again(self, lane: str) -> bool:
        if self._is_short_of_room:
            return self._dispatcher.room >= WORTH_A_LEASE
        return self._dispatcher.has_eased(lane)

    async def _drain(self) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_SECONDS)
            await _cancel(*self._running)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEPT_SECONDS if self._parts.outcomes.is_stuck else DRAIN_SECONDS):
                await self._parts.outcomes.flush()
        await self._parts.pool.close()

    async def _sweep(self) -> None:
        """Until cancelled: idle sessions go, results of the day are saved."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._parts.pool.sweep()
            self._reports.save()

    async def _report(self) -> None:
        """Until cancelled: reports of the days before go out."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            try:
                await self._tls_sender.send_due()
            except OSError as error:
                _logger.error("TLS reports can't be read", reason=str(error))
            await self._dmarc_reporter.send_due()

    async def _look_at_keys(self) -> None:
        """Until cancelled: scheduled rotations of DKIM keys."""
        while True:
            await asyncio.sleep(KEYS_SECONDS)
            await key_rotation.look(self._store, self._names)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def surroundings(settings: Settings) -> Surroundings:
    """We meet ourselves where we listen for MX on the port that mail hosts are spoken to on. With another port than 25
    this is a closed network, where private addresses are what there is."""
    ours = [listen for listen in settings.mx_listen if listen.port == settings.relay_port]
    return Surroundings(
        hostname=settings.hostname,
        port=settings.relay_port,
        is_ours=lambda address: any(_listens_on(listen, address) for listen in ours),
        allows_private=settings.relay_port != 25,
    )


def _listens_on(listen: Listen, address: str) -> bool:
    """A listener on every address is reached on loopback too; others of this machine lead to the loop guards."""
    if not listen.host or ipaddress.ip_address(listen.host).is_unspecified:
        return ipaddress.ip_address(address).is_loopback
    return ipaddress.ip_address(listen.host) == ipaddress.ip_address(address)


async def serve(settings: Settings, ready: Callable[[], None], key: bytes) -> None:
    """The whole life of a relay process: SIGTERM drains; policies come from the store, so SIGHUP means nothing."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await RelayProcess(settings, key=key).run(ready, stop)
