"""`mailgate transport`: how private mail leaves, and how it would leave now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mailgate import settings as settings_module
from mailgate.cli import output
from mailgate.cli.choosing import AsJson, Tenant, seconds
from mailgate.cli.connection import admin
from mailgate.model.address import AddressError, parse_domain
from mailgate.model.errors import UserError
from mailgate.policy.loader import load
from mailgate.relay.probe import Probed, ProbedHost, probe

app = typer.Typer(help="How private mail leaves.", no_args_is_help=True)

_COLUMNS = ("host", "level", "at least", "TLS")
Since = Annotated[str, typer.Option(help="Only what was attempted since, e.g. 24h, 7d.")]


@app.command("probe")
def probe_(
    domain: Annotated[str, typer.Argument(help="The domain of a recipient, e.g. example.org.")],
    tenant: Annotated[str, typer.Option(help="Under this tenant's policy; else the gateway's.")] = "",
    as_json: AsJson = False,
) -> None:
    """Speak to each mail host of a domain as the relay would, and show what would come of it. No mail is sent."""
    settings = settings_module.load()
    try:
        name = parse_domain(domain)
    except AddressError as error:
        raise UserError(f"{domain}: {error}") from None
    policy = load(settings.policy_dir, settings.message_size_limit).for_tenant(tenant)
    found = asyncio.run(probe(settings, policy, name))
    if as_json:
        output.emit_json(asdict(found))
    else:
        show(found)
    if not any(not host.error for host in found.hosts):
        raise typer.Exit(1)


def show(found: Probed) -> None:
    """A table of the hosts, and below it what does not fit into a table."""
    if found.outcome:
        output.say(f"{found.domain}: {found.outcome}", "red")
        return
    output.say(f"{found.domain} by {found.route}; MTA-STS: {found.mta_sts}")
    output.table(_COLUMNS, [_row(host) for host in found.hosts])
    for host in found.hosts:
        for note in _notes(host):
            output.say(f"{host.host}: {note}")


def _row(host: ProbedHost) -> tuple[str, ...]:
    facts = host.facts
    agreed = f"{facts.get('tls', '')} {facts.get('cipher', '')}".strip()
    return (host.host, host.level or "none", str(facts.get("floor", "")), agreed)


def _notes(host: ProbedHost) -> Iterator[str]:
    facts = host.facts
    if host.error:
        yield f"no mail would leave: {host.error}"
        return
    yield f"{facts['address']}" + (f", {facts['verification']}" if facts.get("verification") else "")
    if facts.get("floor_by"):
        yield f"at least {facts['floor']}, demanded by {', '.join(facts['floor_by'])}"
    for step in facts.get("steps_down", ()):
        yield f"not better since {step}"


@app.command()
def report(tenant: Tenant = "", since: Since = "", as_json: AsJson = False) -> None:
    """Shares by level, destinations below forward secrecy, and what was lost on the way and why."""
    age = seconds(since)
    began = 0.0 if age is None else time.time() - age
    found = admin().call("transport.report", tenant=tenant, since=began)
    if as_json:
        output.emit_json(found)
        return
    output.say(f"{found['relayed']} recipients' mail was taken by next hops")
    output.table(
        ("level", "messages", "share"),
        [(name, each["messages"], f"{each['share']:.1%}") for name, each in found["levels"].items()],
    )
    _section("Destinations below forward secrecy", ("destination", "host", "level", "messages", "why"), found, "below_")
    _section("Steps down", ("messages", "why"), found, "downgrades")
    _section("Held back: nothing was private enough", ("destination", "host", "messages", "why"), found, "held_back")
    told = ("domain", "reporter", "reports", "sessions", "failed", "why")
    _section("What others report of TLS with our hosts", told, found, "reported")


def _section(title: str, columns: tuple[str, ...], found: dict[str, Any], key: str) -> None:
    rows = next(value for name, value in found.items() if name.startswith(key))
    if rows:
        output.say("")
        output.table(columns, [[row[column] for column in columns] for row in rows], title=title)
