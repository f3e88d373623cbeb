"""`mailgate dns`: what a hosted domain should publish, and what it does publish."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailgate import settings as settings_module
from mailgate.cli import output
from mailgate.cli.checks import show
from mailgate.cli.choosing import AsJson
from mailgate.cli.connection import admin
from mailgate.model.address import AddressError, parse_domain
from mailgate.model.errors import UserError
from mailgate.ops import domain_check
from mailgate.ops.checks import Check, Status
from mailgate.ops.domain_check import HostedDomain, SigningName
from mailgate.ops.tls import certificate
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.loader import load
from mailgate.relay.process import surroundings
from mailgate.route.resolver import DnsResolver
from mailgate.settings import Settings
from mailgate.transport.published import DnsRecord, sts_policy
from mailgate.transport.published import records as published
from mailgate.transport.sts_cache import fetch_policy

app = typer.Typer(help="DNS records of hosted domains.", no_args_is_help=True)


@app.command()
def records(
    domain: Annotated[str, typer.Argument(help="A hosted domain, e.g. acme.example.")], as_json: AsJson = False
) -> None:
    """Print MX, TLSA, MTA-STS and TLS report records, and the MTA-STS policy file. DKIM: see `mailgate dkim`."""
    settings = settings_module.load()
    name = _parsed(domain)
    sts = _sts_policy(settings, _policy_of(settings, name))
    listed = _suggested(settings, name, sts)
    if as_json:
        shown = [{"name": each.name, "type": each.kind, "value": each.value, "why": each.why} for each in listed]
        output.emit_json({"records": shown, "mta_sts_policy": sts})
        return
    for each in listed:
        output.say(f"; {each.why}", "dim")
        output.say(each.line)
    output.say("")
    if not sts:
        output.say("; no MTA-STS: the policy says mta_sts.mode = off", "dim")
        return
    output.say(f"; https://mta-sts.{name}/.well-known/mta-sts.txt, type text/plain", "dim")
    output.say(sts.replace("\r\n", "\n").rstrip())


@app.command()
def check(
    domain: Annotated[str, typer.Argument(help="A hosted domain, e.g. acme.example.")], as_json: AsJson = False
) -> None:
    """Look at what the domain publishes: MX, SPF, DKIM, DMARC, MTA-STS, TLS reports, DANE, and the names of our
    addresses. Says what is missing or wrong, with the record to publish; exit 1 where something fails."""
    settings = settings_module.load()
    name = _parsed(domain)
    keys = admin().call("dkim.list", domain=name)
    found = asyncio.run(_examined(settings, _policy_of(settings, name), name, keys))
    is_well = all(each.status is not Status.FAIL for each in found)
    if as_json:
        output.emit_json({"domain": name, "checks": [each.as_json() for each in found]})
    else:
        show(found)
    raise typer.Exit(0 if is_well else 1)


def _policy_of(settings: Settings, domain: str) -> EffectivePolicy:
    """That of the tenant that hosts the domain; the gateway's where nobody does yet."""
    tenant = next((each["name"] for each in admin().call("tenant.list") if domain in each["domains"]), "")
    return load(settings.policy_dir, settings.message_size_limit).for_tenant(tenant)


async def _examined(
    settings: Settings, policy: EffectivePolicy, domain: str, keys: list[dict[str, Any]]
) -> list[Check]:
    egress = policy.transport.egress_address
    resolver = DnsResolver(settings.resolver, settings.resolver_trusted, time.monotonic)
    four, six = await asyncio.gather(resolver.a(settings.hostname), resolver.aaaa(settings.hostname))
    allows = surroundings(settings).allows
    around = domain_check.Surroundings(resolver, lambda name: fetch_policy(resolver, name, allows))
    hosted = HostedDomain(
        name=domain,
        host=settings.hostname,
        addresses=(egress,) if egress else (*four.records, *six.records),
        host_addresses=(*four.records, *six.records),
        certificate=certificate(settings).leaf(),
        keys=tuple(SigningName(key["name"], key["record"]) for key in keys if key["retired_at"] is None),
        suggested=_suggested(settings, domain, _sts_policy(settings, policy)),
        reports_to=policy.dmarc_reports.address,
    )
    return await domain_check.examine(around, hosted)


def _parsed(domain: str) -> str:
    try:
        return parse_domain(domain)
    except AddressError as error:
        raise UserError(f"{domain}: {error}") from None


def _sts_policy(settings: Settings, policy: EffectivePolicy) -> str:
    """The policy file as the gateway serves it; empty where it serves none."""
    wanted = policy.mta_sts
    return "" if wanted.mode == "off" else sts_policy(wanted.mx or (settings.hostname,), wanted.mode, wanted.max_age)


def _suggested(settings: Settings, domain: str, sts: str) -> tuple[DnsRecord, ...]:
    key = certificate(settings).leaf().public_key()
    return published(domain, settings.hostname, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), sts)
