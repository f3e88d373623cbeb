"""`mailgate dkim ...`: the keys that sign a domain's mail, and whether the DNS shows them."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer

from mailgate import settings
from mailgate.cli import output
from mailgate.cli.connection import admin
from mailgate.route.resolver import DnsResolver
from mailgate.senderauth.dkim_key import is_same_key
from mailgate.transport.published import txt_line

POLL_SECONDS = 15.0

app = typer.Typer(help="The keys that sign a domain's mail (DKIM).", no_args_is_help=True)

Domain = Annotated[str, typer.Argument(help="A hosted domain, for example acme.example.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("create")
def create(domain: Domain) -> None:
    """Make the first keys of a domain and show the records to publish. They sign once the DNS shows them."""
    _show_records(admin().call("dkim.create", domain=domain))


@app.command("list")
def list_(domain: Domain, as_json: AsJson = False) -> None:
    """List the keys of a domain, the newest first."""
    keys = admin().call("dkim.list", domain=domain)
    if as_json:
        output.emit_json(keys)
        return
    rows = [(key["selector"], key["kind"], output.moment(key["created_at"]), _state(key)) for key in keys]
    output.table(("selector", "kind", "created", "state"), rows)


@app.command("check")
def check(domain: Domain, as_json: AsJson = False) -> None:
    """Ask the DNS for each key. A key that is shown takes the place of older ones; exit code 1 where one is missing."""
    keys = asyncio.run(_looked_up(admin().call("dkim.list", domain=domain)))
    changed = _tell(domain, keys)
    if as_json:
        output.emit_json({"keys": keys, **changed})
    else:
        output.table(("name", "kind", "state", "DNS"), [(k["name"], k["kind"], _state(k), k["dns"]) for k in keys])
        _show_records([key for key in keys if key["dns"] != "shown" and key["retired_at"] is None])
    if not keys or any(key["dns"] != "shown" and key["retired_at"] is None for key in keys):
        raise typer.Exit(1)


@app.command("rotate")
def rotate(
    domain: Domain,
    wait: Annotated[int, typer.Option(help="Seconds to wait until the DNS shows the new keys.", min=0)] = 0,
) -> None:
    """Make new keys and show their records. Once the DNS shows them they sign, and the old ones are kept for a week."""
    made = admin().call("dkim.rotate", domain=domain)
    _show_records(made)
    deadline = time.monotonic() + wait
    while wait:
        if all(key["dns"] == "shown" for key in asyncio.run(_looked_up(made))):
            retired = admin().call("dkim.seen", domain=domain, selectors=[key["selector"] for key in made])["retired"]
            output.done(f"the new keys sign; retired: {', '.join(retired) or 'none'}. Leave their records for a week")
            return
        if time.monotonic() >= deadline:
            output.done("the DNS does not show the new keys yet; the old ones go on signing")
            raise typer.Exit(1)
        time.sleep(min(POLL_SECONDS, wait))


async def _looked_up(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The keys with what the DNS says of each: `shown`, `missing`, `another key` or the failure."""
    chosen = settings.load()
    resolver = DnsResolver(chosen.resolver, chosen.resolver_trusted, time.monotonic)
    answers = await asyncio.gather(*(resolver.txt(key["name"]) for key in keys))
    found = []
    for key, answer in zip(keys, answers, strict=True):
        if not answer.is_known:
            said = f"can't be looked up: {answer.reason}"
        elif any(is_same_key(text, key["record"]) for text in answer.records):
            said = "shown"
        else:
            said = "another key" if answer.records else "missing"
        found.append({**key, "dns": said})
    return found


def _tell(domain: str, keys: list[dict[str, Any]]) -> dict[str, Any]:
    shown = [key["selector"] for key in keys if key["dns"] == "shown" and key["retired_at"] is None]
    changed: dict[str, Any] = admin().call("dkim.seen", domain=domain, selectors=shown)
    return changed


def _state(key: dict[str, Any]) -> str:
    return "in use, or waiting for the DNS" if key["retired_at"] is None else "retired"


def _show_records(keys: list[dict[str, Any]]) -> None:
    for key in keys:
        typer.echo(txt_line(key["name"], key["record"]))
