"""A delivery attempt as named steps: lease, route, sign, attempt, classify, record, notify."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailgate.ipc.calls import Ended, Lease, Leased, Work
from mailgate.ipc.line import StoreLine
from mailgate.model.envelope import TenantName
from mailgate.model.errors import DamagedError, UnavailableError
from mailgate.model.outcome import Outcome, State
from mailgate.policy.snapshot import Snapshot
from mailgate.recoding.entity import NotConvertibleError
from mailgate.records import log, metrics
from mailgate.relay import obstacles, recode
from mailgate.relay.classify import is_trouble, outcome_of, outcome_of_fault
from mailgate.relay.dispatcher import Result
from mailgate.relay.forwarding import Forwarding
from mailgate.relay.handover import Handover
from mailgate.relay.job import Job, Try, jobs_of
from mailgate.relay.mail import Mail
from mailgate.relay.opening import Opener, OpenError, Target
from mailgate.relay.outcomes import Outcomes
from mailgate.relay.planning import Plan, Planner, wishes_of
from mailgate.relay.pool import SessionPool
from mailgate.relay.reporting import Reporting
from mailgate.relay.routing import Way, inbound_way, way
from mailgate.relay.signing import Signer
from mailgate.relay.smtp_session import SmtpSession
from mailgate.relay.timeouts import Timeouts
from mailgate.relay.transfer import Fault, FaultKind
from mailgate.route.mx import MxHost
from mailgate.transport.ladder import Failure

LEASE_SECONDS = 3_600.0
MOST_HOSTS_TRIED = 5
_DEAD = frozenset({FaultKind.UNREACHABLE, FaultKind.REFUSED, FaultKind.TIMEOUT, FaultKind.DROPPED, FaultKind.GREETING})

_logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the steps work with. `since_boot` in seconds, by a clock that never steps and
    goes on while the machine sleeps; `holder` names this start of the relay."""

    store: StoreLine
    holder: str
    policy: Callable[[], Snapshot]
    handover: Handover
    planner: Planner
    signer: Signer
    forwarding: Forwarding
    opener: Opener
    pool: SessionPool
    outcomes: Outcomes
    reporting: Reporting
    timeouts: Timeouts
    since_boot: Callable[[], float]


async def lease(parts: Parts, limit: int, full: tuple[str, ...]) -> tuple[list[Job], float | None]:
    """Due recipients as jobs, and when the next one is due (seconds since 1970)."""
    until = parts.since_boot() + LEASE_SECONDS
    answer = await parts.store.call(Lease(parts.holder, limit, LEASE_SECONDS, full))
    if not isinstance(answer, Leased):
        raise UnavailableError("the store gave an unexpected answer to a lease")
    snapshot = parts.policy()

    @functools.cache
    def ways(tenant: TenantName, destination: str) -> tuple[Way, Way | None]:
        policy = snapshot.for_tenant(tenant)
        return way(policy, destination), inbound_way(policy, destination)

    return jobs_of(answer.work, ways, until), answer.next_due


async def deliver(parts: Parts, job: Job) -> tuple[Result, Outcome]:
    """All steps after the lease, for one job; never raises but CancelledError. The outcome is the first recipient's."""
    if parts.since_boot() > job.until - parts.timeouts.delivery:
        # it waited so long that its lease might end in mid-attempt; then the queue hands it out again
        return Result.GOOD, Outcome(State.QUEUED, "not tried")
    began = time.time()
    try:
        async with asyncio.timeout(parts.timeouts.delivery):
            tries = await _tries(parts, job)
    except TimeoutError:
        fault = Fault(FaultKind.TIMEOUT, "delivery", "the whole attempt took too long")
        tries = [Try(job.destination, fault=fault)]
    except DamagedError as error:
        tries = [Try(job.destination, obstacle=Outcome(State.HELD, str(error), 0, "4.3.0"))]
    except UnavailableError as error:
        _logger.warning("not tried, the store does not answer", queue_id=job.mail.envelope.queue_id, reason=str(error))
        tries = [Try(job.destination, fault=Fault(FaultKind.LOCAL, "delivery", "the store does not answer"))]
    except FileNotFoundError as error:
        # after a store's restart another attempt may have ended it meanwhile
        _logger.error("not tried, the content is gone", queue_id=job.mail.envelope.queue_id, reason=str(error))
        tries = [Try(job.destination, fault=Fault(FaultKind.LOCAL, "delivery", "the content is gone"))]
    except Exception:
        _logger.exception("an attempt failed inside the relay", queue_id=job.mail.envelope.queue_id)
        fault = Fault(FaultKind.LOCAL, "delivery", "an error inside the relay; see its log")
        tries = [Try(job.destination, fault=fault)]
    ended = classify(job, tries, began)
    record(parts, ended)
    return notify(job, tries, ended), ended[0].outcome


def share(parts: Parts, job: Job, outcome: Outcome) -> None:
    """The outcome of a moment ago counts for mail that waited for the same hosts, none of which can be talked to."""
    shared = replace(outcome, text=f"{outcome.text} (met by other mail just now)")
    record(parts, tuple(_ended(work, shared) for work in job.works))


async def _tries(parts: Parts, job: Job) -> list[Try]:
    plan = await route(parts, job)
    if isinstance(plan, Outcome):
        return [Try(job.destination, obstacle=plan)]
    signed = await sign(parts, job)
    obstacle = obstacles.of_signature(signed.mail)
    if obstacle is not None:
        return [Try(job.destination, obstacle=obstacle)]
    return await attempt(parts, signed, plan)


async def sign(parts: Parts, job: Job) -> Job:
    """DKIM over the bytes as they will go out, or what forwarded mail needs; made anew for each attempt, since keys
    change."""
    mail = await _signed(parts, await recode.short_lined(job.mail, parts.signer))
    return job if mail is job.mail else replace(job, mail=mail, unsigned=job.mail)


async def _signed(parts: Parts, mail: Mail) -> Mail:
    return await parts.forwarding.prepare(await parts.signer.sign(mail))


async def route(parts: Parts, job: Job) -> Plan | Outcome:
    """The hosts that take this mail; or how the attempt ends without any."""
    obstacle = obstacles.of_message(job.mail)
    if obstacle is not None:
        return obstacle
    here = await parts.handover.plan(job)
    if not isinstance(here, Way):
        return here
    return await parts.planner.plan(job.destination, here, wishes_of(job.mail))


async def attempt(parts: Parts, job: Job, plan: Plan) -> list[Try]:
    """The hosts in their order, until one of them has an answer. Those that cut the handshake are asked again for less
    at last, if it is not the first attempt: another host may know how to do better."""
    tries: list[Try] = []
    cut: list[MxHost] = []
    for host in plan.hosts[:MOST_HOSTS_TRIED]:
        tries.append(await _with_host(parts, job, plan, host))
        if not tries[-1].may_try_another:
            return tries
        if tries[-1].was_cut:
            cut.append(host)
    for host in cut if job.is_again else ():
        tries.append(await _with_host(parts, job, plan, host, was_cut=True))
        if not tries[-1].may_try_another:
            break
    return tries


async def _with_host(parts: Parts, job: Job, plan: Plan, host: MxHost, was_cut: bool = False) -> Try:
    target = await parts.planner.target(plan, host)
    if isinstance(target, Fault):
        return Try(host.name, {"host": host.name}, fault=target)
    if target.lacks_proof:
        text = f"nothing could prove that this is the right host; {target.floor.words} is a must"
        fault = Fault(FaultKind.POLICY, "TLS", text)
        obstacle = obstacles.of_privacy(job.mail, fault, host.name)
        return Try(host.name, {"host": host.name, **target.checks}, fault=fault, obstacle=obstacle)
    kept = parts.pool.take(target)
    if kept is not None:
        result = await _transact(parts, job, target, kept, is_reused=True)
        transfer = result.transfer
        if transfer is None or transfer.fault is None or transfer.mail is not None:
            return result
        # the host has closed the idle session meanwhile: that is no answer
    try:
        session = await parts.opener.open(target, was_cut)
    except OpenError as error:
        parts.reporting.opened(plan, target, error.facts, error)
        facts = _facts_of(target, error.facts.address, error.facts.values)
        obstacle = obstacles.of_privacy(job.mail, error.fault, host.name)
        return Try(host.name, facts, None, error.fault, obstacle, was_cut=error.failure is Failure.CUT)
    parts.reporting.opened(plan, target, session.facts, None)
    return await _transact(parts, job, target, session, is_reused=False)


async def _transact(parts: Parts, job: Job, target: Target, session: SmtpSession, is_reused: bool) -> Try:
    facts = _facts_of(target, session.facts.address, session.facts.values)
    facts["reused"] = is_reused
    try:
        mail = await _for_host(parts, job, target.host, session)
    except BaseException:
        session.close()
        raise
    if isinstance(mail, Outcome):
        parts.pool.give(target, session)
        return Try(target.host, facts | dict(job.mail.facts), obstacle=mail)
    facts |= mail.facts
    transfer = await session.send(mail)
    parts.pool.give(target, session)
    return Try(target.host, facts, transfer=transfer)


async def _for_host(parts: Parts, job: Job, host: str, session: SmtpSession) -> Mail | Outcome:
    """The mail as this host can take it, or why it can't."""
    mail = job.mail
    if not session.offers("8bitmime") and mail.traits.is_8bit:
        try:
            mail = await _signed(parts, await recode.seven_bit(job.unsigned or mail, parts.signer))
        except NotConvertibleError as error:
            return obstacles.of_conversion(host, str(error))
    return obstacles.of_host(mail, host, session.offers, session.size_limit) or mail


def _facts_of(target: Target, address: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"host": target.host, "address": address, "port": target.port, **values}


def classify(job: Job, tries: Sequence[Try], began: float) -> tuple[Ended, ...]:
    """The outcome for each recipient, with all that was tried on the way."""
    last = _decisive(tries)
    fault = {"fault": last.fault.kind.value} if last.fault is not None else {}
    facts: dict[str, Any] = {**last.facts, **fault, "began": round(began, 3), "took": round(time.time() - began, 3)}
    before = [{**each.facts, "text": each.fault.text if each.fault else ""} for each in tries if each is not last]
    if before:
        facts["tried_before"] = before
    return tuple(_ended(work, _outcome(last, number), facts) for number, work in enumerate(job.works))


def _ended(work: Work, outcome: Outcome, facts: dict[str, Any] | None = None) -> Ended:
    return Ended(work.message, work.n, outcome, facts or {}, work.envelope.queue_id)


def _decisive(tries: Sequence[Try]) -> Try:
    """The try that the outcome comes from: the last one; but one that leaves hope goes before those without."""
    if tries[-1].fault is None:
        return tries[-1]
    hopeful = [each for each in tries if _outcome(each, 0).state is State.QUEUED]
    return hopeful[-1] if hopeful else tries[-1]


def _outcome(tried: Try, number: int) -> Outcome:
    if tried.obstacle is not None:
        return tried.obstacle
    if tried.transfer is not None:
        return outcome_of(tried.transfer, number, tried.host)
    assert tried.fault is not None
    return outcome_of_fault(tried.fault, tried.host)


def record(parts: Parts, ended: tuple[Ended, ...]) -> None:
    """Handed to the store; it tells the sender of a bounce in the same transaction."""
    parts.outcomes.add(ended)


def notify(job: Job, tries: Sequence[Try], ended: tuple[Ended, ...]) -> Result:
    """Metrics, the log, and what the dispatcher learns of the lane."""
    envelope = job.mail.envelope
    for each in ended:
        metrics.OUTCOMES.labels(each.outcome.state).inc()
    level = ended[0].facts.get("level", "")
    if level and any(each.outcome.state is State.RELAYED for each in ended):
        metrics.RELAYED_BY_LEVEL.labels(level).inc()
    _logger.info(
        "attempted",
        queue_id=envelope.queue_id,
        tenant=envelope.tenant,
        destination=job.destination,
        host=ended[0].facts.get("host", ""),
        level=level,
        states=sorted({each.outcome.state.value for each in ended}),
        text=ended[0].outcome.text,
    )
    last = tries[-1]
    if last.fault is not None:
        if last.fault.kind is FaultKind.BUSY:
            return Result.BUSY
        return Result.DEAD if last.fault.kind in _DEAD else Result.TROUBLE
    return Result.TROUBLE if last.transfer is not None and is_trouble(last.transfer) else Result.GOOD
