"""From the end of a message to its reply, as named steps: stage, authorise, authenticate, inspect, identify, decide,
read_reports, commit, reply.

`wake` of the design is the store's: it delivers what it has just committed from memory, so nobody has to tell it.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from msgspec.structs import replace as replace_in

from mailgate.edge import aggregate_reports, header, onward, replies, sender, trace_headers
from mailgate.edge.inspectors import BusyError, InspectionFailedError
from mailgate.edge.transaction import Transaction
from mailgate.edge.turns import GoneError
from mailgate.ipc.calls import NewEntry
from mailgate.ipc.frames import StorageFullError
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Direction, Envelope, Recipient, TenantName
from mailgate.model.errors import Refusal, UnavailableError
from mailgate.model.event import Event
from mailgate.model.reply import Reply
from mailgate.model.sender import Sender
from mailgate.model.verdict import Inspection
from mailgate.policy.evaluate import Ruling, evaluate_each, one_reply
from mailgate.policy.facts import Facts
from mailgate.records import log, metrics
from mailgate.records.timeline import decision_facts
from mailgate.senderauth import aggregate

_logger = log.get(__name__)


async def finish(tx: Transaction) -> Reply:
    """Runs the steps; the reply for the end of the message. Never raises but CancelledError."""
    try:
        async with asyncio.timeout(tx.around.limits().reply_seconds):
            for step in STEPS:
                await step(tx)
            return reply(tx)
    except Refusal as refusal:
        tx.note(refusal.reply, refusal.cause)
        return refusal.reply
    except TimeoutError:
        tx.note(replies.TOO_LATE, "time is up")
        return replies.TOO_LATE
    finally:
        tx.close()


async def stage(tx: Transaction) -> None:
    """The whole message is here: is it one that can be kept?"""
    more = {"requiretls": tx.requiretls, "let_in_by": tx.let_in_by}
    tx.record(
        "received",
        size=tx.staging.size,
        client=tx.client.address,
        helo=tx.client.helo,
        tls=tx.client.tls_version,
        **{name: value for name, value in more.items() if value},
    )
    if tx.staging.is_too_large:
        raise Refusal(replies.TOO_LARGE)
    if tx.is_bad:
        raise Refusal(replies.BAD_BYTES)
    if tx.staging.is_full:
        raise Refusal(replies.NO_ROOM, "no room in the staging place")
    limits = tx.around.limits()
    head = tx.staging.head(limits.header_bytes)
    if not header.is_within(head, limits.header_bytes, limits.header_fields):
        raise Refusal(replies.HEADER_TOO_LARGE)
    tx.header = header.read(head, tx.around.hostname, tx.direction is Direction.OUTBOUND)
    if tx.header.received > limits.received_hops:
        raise Refusal(replies.LOOP, f"{tx.header.received} Received fields")
    _end_loops(tx, tx.header.delivered_to)
    await onward.check(tx)


def _end_loops(tx: Transaction, delivered_to: frozenset[str]) -> None:
    """What an address has forwarded already it does not forward again."""
    looping = {recipient.forwarder for _, recipient in tx.recipients} & delivered_to - {""}
    if looping:
        tx.record("not_forwarded", forwarders=sorted(looping))
        tx.recipients = [item for item in tx.recipients if item[1].forwarder not in looping]
        if not tx.recipients:
            raise Refusal(replies.FORWARDED_ALREADY)


async def authorise(tx: Transaction) -> None:
    """May the user who has logged in send as those whom the message names?"""
    assert tx.header is not None
    if tx.client.account:
        tx.send_as.check(tx.header.section)


async def authenticate(tx: Transaction) -> None:
    """Who sent it? The checks begin here at the latest and go on beside the inspection."""
    wanted = tx.around.policy().for_tenant(tx.recipients[0][0]).authentication
    tx.check_sender(wanted.check)
    assert tx.header is not None
    if tx.sender_check is not None:
        section = tx.header.section
        tx.sender_check.read(section, functools.partial(sender.body_hashes, tx.staging, section.size))


async def inspect(tx: Transaction) -> None:
    """Every part gets its verdict. A message for several tenants is inspected once, under the strictest limits."""
    limits = tx.around.limits()
    policy = tx.around.policy()
    tenants = {tenant for tenant, _ in tx.recipients} | ({tx.tenant} if tx.tenant else set())
    wanted = [policy.for_tenant(tenant).limits for tenant in tenants]
    try:
        tx.inspection = await tx.around.inspectors.inspect(
            tx.staging,
            InspectLimits(
                depth=min(each.depth for each in wanted),
                parts=min(each.parts for each in wanted),
                wall_seconds=max(1.0, limits.reply_seconds - 8),
            ),
            tx.direction is Direction.INBOUND,
            tx.share,
            tx.presence,
        )
    except BusyError as error:
        raise Refusal(replies.BUSY, str(error)) from None
    except (InspectionFailedError, GoneError) as error:
        raise Refusal(replies.TRY_AGAIN, str(error)) from None
    _count_verdicts(tx.inspection)


def _count_verdicts(inspection: Inspection) -> None:
    for (verdict, reason), parts in Counter((part.verdict, part.reason or "") for part in inspection.parts).items():
        metrics.VERDICTS.labels(verdict, reason).inc(parts)
    contents = sum(bool(part.digest) for part in inspection.parts)
    metrics.VERDICT_SOURCES.labels("memory").inc(inspection.remembered)
    metrics.VERDICT_SOURCES.labels("scan").inc(contents - inspection.remembered)
    metrics.INSPECTION_SECONDS.observe(inspection.wall_seconds)
    metrics.SCANNER_SECONDS.observe(inspection.scanner_seconds)


async def identify(tx: Transaction) -> None:
    """What the checks of the sender found; results that others forged in our name are cut out (RFC 8601 section 5)."""
    assert tx.header is not None
    facts: dict[str, object] = {}
    if tx.header.forged_results:
        facts["forged_results_removed"] = tx.header.forged_results
    if tx.sender_check is not None:
        tx.findings = await tx.sender_check.findings(sender.WAIT_SECONDS)
        facts |= tx.findings.facts
    if facts:
        tx.record("authenticated", **facts)


async def decide(tx: Transaction) -> None:
    """Each tenant's recipients are judged under its own policy, what leaves apart; one reply for all (promise 7)."""
    assert tx.header is not None and tx.inspection is not None
    snapshot = tx.around.policy()
    judged: list[tuple[TenantName, dict[str, Recipient], Ruling]] = []
    for (tenant, _), recipients in _grouped(tx).items():
        by_path = {recipient.forward_path: recipient for recipient in recipients}
        facts = Facts(
            direction=tx.direction if tenant == tx.tenant else Direction.INBOUND,
            reverse_path=tx.reverse_path,
            recipients=tuple(by_path),
            size=tx.staging.size,
            inspection=tx.inspection,
            received_hops=tx.header.received,
            sender=_sender(tx, tenant),
            at=time.time(),
            hosted=frozenset(recipient.forward_path for recipient in recipients if recipient.mailboxes),
        )
        judged += ((tenant, by_path, ruling) for ruling in evaluate_each(snapshot.for_tenant(tenant), facts))
    rulings = one_reply([ruling for _, _, ruling in judged])
    for (tenant, by_path, _), ruling in zip(judged, rulings, strict=True):
        envelope = tx.envelope(tenant, tuple(by_path[path] for path in ruling.recipients))
        tx.entries.append(_entry(tx, envelope, ruling.decision))
    _count(tx)
    decision = rulings[0].decision
    if tx.findings is not None and snapshot.for_tenant(tx.recipients[0][0]).dmarc_reports.send:
        tx.seen = () if all(_are_for_reports(tx)) else aggregate.seen(tx.findings, decision.action)
    if decision.action in (Action.DEFER, Action.REJECT):
        tx.record("decided", **decision_facts(decision))
    if decision.action is Action.DEFER:
        raise Refusal(replies.deferred(decision.reason), decision.reason)
    if decision.action is Action.REJECT:
        raise Refusal(replies.refused(decision.reason, decision.code), decision.rule)


def _are_for_reports(tx: Transaction) -> list[bool]:
    """For each recipient."""
    address = tx.around.policy().for_tenant(tx.recipients[0][0]).dmarc_reports.address
    return aggregate_reports.names(address, (recipient for _, recipient in tx.recipients))


async def read_reports(tx: Transaction) -> None:
    """What others report of the tenant's domains. The message is mail like any other, whatever is in it."""
    if tx.direction is not Direction.INBOUND or not any(_are_for_reports(tx)):
        return
    if tx.entries[0].decision.action is not Action.ACCEPT:
        return
    around = tx.around
    reading = await aggregate_reports.read(around.inspectors, around.store, tx.staging, tx.share, tx.findings)
    tx.reports, tx.tls_reports = reading.reports, reading.tls
    tx.record(
        "reported",
        reports=[
            *(f"{each.report_id} of {each.reporter} about {each.domain}" for each in reading.reports),
            *(f"{each.report_id} of {each.reporter} about TLS with {each.domain}" for each in reading.tls),
        ],
        skipped=sum(each.skipped for each in reading.reports),
        problem=reading.problem,
    )


def _sender(tx: Transaction, tenant: TenantName) -> Sender | None:
    is_wanted = tx.around.policy().for_tenant(tenant).authentication.check
    return tx.findings.sender if tx.findings is not None and is_wanted else None


def _grouped(tx: Transaction) -> dict[tuple[TenantName, bool], tuple[Recipient, ...]]:
    """Recipients by tenant, and apart those whose mail stays here from those whose mail leaves."""
    groups: dict[tuple[TenantName, bool], tuple[Recipient, ...]] = {}
    for tenant, recipient in sorted(tx.recipients, key=lambda item: item[0] != tx.tenant):
        key = (tenant, bool(recipient.mailboxes))
        groups[key] = (*groups.get(key, ()), recipient)
    return groups


def _entry(tx: Transaction, envelope: Envelope, decision: Decision) -> NewEntry:
    assert tx.header is not None
    return NewEntry(
        envelope=envelope,
        decision=decision,
        prefix=trace_headers.prefix(
            envelope,
            tx.around.hostname,
            tx.header.has_date,
            bool(tx.header.message_id),
            tx.findings.results if tx.findings is not None else (),
            is_client_hidden=tx.around.policy().for_tenant(tx.tenant).submission.hide_client,
        ),
        inline=tx.staging.inline,
        staged=tx.staging.path,
        body_size=tx.staging.size,
        cuts=tx.header.cuts,
        inspection=tx.inspection,
    )


def _count(tx: Transaction) -> None:
    for entry in tx.entries:
        direction = entry.envelope.direction
        metrics.MESSAGES.labels(direction, entry.decision.action).inc()
        metrics.MESSAGE_BYTES.labels(direction).inc(tx.staging.size)


async def commit(tx: Transaction) -> None:
    """Nothing is kept for a client that has gone; once it is sent, nobody takes a commit back."""
    if tx.presence.is_gone:
        raise Refusal(replies.TRY_AGAIN, "the client went away before the commit")
    now = time.time()
    entries = tuple(
        replace_in(
            entry,
            events=(*tx.events, Event(now, "decided", decision_facts(entry.decision))),
            seen=() if number else tx.seen,  # one message is counted once
            reports=() if number else tx.reports,
            tls_reports=() if number else tx.tls_reports,
        )
        for number, entry in enumerate(tx.entries)
    )
    try:
        await tx.around.store.commit(entries)
    except StorageFullError as error:
        raise Refusal(replies.NO_ROOM, str(error)) from None
    except UnavailableError as error:
        raise Refusal(replies.TRY_AGAIN, str(error)) from None


def reply(tx: Transaction) -> Reply:
    """It is kept: say so."""
    entry = tx.entries[0]
    _logger.info(
        "kept",
        queue_id=tx.queue_id,
        tenant=entry.envelope.tenant,
        direction=entry.envelope.direction,
        action=entry.decision.action,
        size=tx.staging.size,
        recipients=len(tx.recipients),
    )
    return replies.kept(tx.queue_id)


STEPS: tuple[Callable[[Transaction], Awaitable[None]], ...] = (
    *(stage, authorise, authenticate, inspect, identify, decide, read_reports, commit),
)
