"""`mailgate dns`: what a hosted domain should publish."""

from __future__ import annotations

from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailgate import settings as settings_module
from mailgate.cli import output
from mailgate.cli.choosing import AsJson
from mailgate.model.address import AddressError, parse_domain
from mailgate.model.errors import UserError
from mailgate.ops.tls import certificate
from mailgate.transport.published import records as published
from mailgate.transport.published import sts_policy

app = typer.Typer(help="DNS records of hosted domains.", no_args_is_help=True)


@app.command()
def records(
    domain: Annotated[str, typer.Argument(help="A hosted domain, e.g. acme.example.")], as_json: AsJson = False
) -> None:
    """Print MX, TLSA, MTA-STS and TLS report records, and the MTA-STS policy file. DKIM: see `mailgate dkim`."""
    settings = settings_module.load()
    try:
        name = parse_domain(domain)
    except AddressError as error:
        raise UserError(f"{domain}: {error}") from None
    key = certificate(settings).leaf().public_key()
    listed = published(name, settings.hostname, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    policy = sts_policy(settings.hostname)
    if as_json:
        shown = [{"name": each.name, "type": each.kind, "value": each.value, "why": each.why} for each in listed]
        output.emit_json({"records": shown, "mta_sts_policy": policy})
        return
    for each in listed:
        output.say(f"; {each.why}", "dim")
        output.say(each.line)
    output.say("")
    output.say(f"; https://mta-sts.{name}/.well-known/mta-sts.txt, type text/plain", "dim")
    output.say(policy.replace("\r\n", "\n").rstrip())
