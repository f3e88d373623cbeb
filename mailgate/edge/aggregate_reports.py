"""Aggregate reports of DMARC within a transaction: those that come for the tenant are read, and are no mail to report
on themselves, or two gateways would report on each other's reports for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from mailgate.edge.inspectors import Inspectors
from mailgate.edge.staging import Staging
from mailgate.edge.store_client import StoreClient
from mailgate.edge.turns import Share
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.address import Address, AddressError, parse_address
from mailgate.model.envelope import Recipient
from mailgate.model.received_report import ReportReading
from mailgate.senderauth.findings import Findings
from mailgate.senderauth.outcome import Outcome

LIMITS = InspectLimits(cpu_seconds=12.0, wall_seconds=12.0)
READ_SECONDS = 16.0


def names(address: str, recipients: Iterable[Recipient]) -> list[bool]:
    """For each recipient: is it `address`, the one for reports? For none where that is empty."""
    wanted = _plain(address) if address else None
    return [wanted is not None and _plain(recipient.forward_path) == wanted for recipient in recipients]


def _plain(path: str) -> tuple[str, str]:
    try:
        address = parse_address(path)
    except AddressError:
        return path.lower(), ""
    return address.local.lower(), address.domain


def proven_author(findings: Findings) -> str:
    """The domain that sent it; empty where nothing proves it. Anybody may write to the address, and what a report says
    of its own origin may be invented (RFC 9990 section 3.5)."""
    sender = findings.sender
    if sender.dmarc == Outcome.PASS:
        return sender.author
    passed = {each.domain for each in findings.dkim if each.outcome is Outcome.PASS}
    if findings.spf.outcome is Outcome.PASS:
        passed.add(findings.spf.domain)
    is_aligned = any(f".{sender.author}".endswith(f".{domain}") for domain in passed)
    return sender.author if sender.dmarc == Outcome.NONE and is_aligned else ""


async def read(
    inspectors: Inspectors, store: StoreClient, staging: Staging, share: Share, findings: Findings | None
) -> ReportReading:
    """What the message tells of the domains of the tenant in `share`; its reporter is who sent it. Where the tenant has
    switched the checks of senders off (`findings` None) it is who it says. Never raises but CancelledError."""
    author = proven_author(findings) if findings is not None else ""
    if findings is not None and not author:
        return ReportReading(problem="nothing proves who sent it")
    try:
        async with asyncio.timeout(READ_SECONDS):
            reading = await inspectors.read_reports(staging, LIMITS, share)
            own = [
                replace(report, reporter=author or report.reporter)
                for report in reading.reports
                if await _is_own(store, report.domain, share.tenant)
            ]
            tls = [
                replace(report, reporter=author or report.reporter)
                for report in reading.tls
                if await _is_own(store, report.domain, share.tenant)
            ]
    except TimeoutError:
        return ReportReading(problem="it took too long")
    except Exception as error:
        return ReportReading(problem=f"{type(error).__name__} while its domain was looked up")
    if len(own) < len(reading.reports) or len(tls) < len(reading.tls):
        reading = replace(reading, problem="it is about a domain that is not the tenant's")
    return replace(reading, reports=tuple(own), tls=tuple(tls))


async def _is_own(store: StoreClient, domain: str, tenant: str) -> bool:
    """The domain, or one above it, is hosted here for the tenant."""
    labels = domain.split(".")
    for start in range(max(0, len(labels) - 5), len(labels) - 1):
        found = await store.resolve(Address("", ".".join(labels[start:])))
        if found.kind != "foreign":
            return found.tenant == tenant
    return False
