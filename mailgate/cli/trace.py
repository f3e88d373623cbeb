"""`mailgate trace`: everything that is known of one message, in the order in which it happened; and why mail of an
address was refused before there was a message."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output, parts
from mailgate.cli.connection import admin

_STYLES = {"delivered": "green", "relayed": "green", "refused": "red", "bounced": "red", "quarantined": "yellow"}


def run(
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID|ADDRESS",
            help="A queue id, or a Message-ID with or without < and >; or a sender, a recipient or the IP address of a "
            "client, for what was refused.",
        ),
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list, of refusals and since a Message-ID may come twice.")
    ] = False,
) -> None:
    """Print the timeline of a message: what came in, what was found in each part, what was decided and why, where it
    went. For an address: what was refused in the dialogue with a client, with the reply and the reason, for as long as
    retention.refusal_days says. Exit 1 where nothing is on record."""
    found = admin().call("trace", id=id)
    if json:
        output.emit_json(found)
        return
    for number, timeline in enumerate(found):
        if number:
            output.say("")
        if "turned_away" in timeline:
            _show_refusal(timeline)
        else:
            _show(timeline)


def _show_refusal(row: dict[str, Any]) -> None:
    again = f", {row['turned_away']} times since {output.moment(row['first'])}" if row["turned_away"] > 1 else ""
    output.say(f"{output.moment(row['last'])}  refused: {row['reply'] or 'without a reply'}{again}", "red")
    helo = f" ({row['helo']})" if row["helo"] else ""
    tls = f", {row['tls']}" if row["tls"] else ", without TLS"
    at = f", at {row['command']}" if row["command"] else ""
    output.say(f"  client {row['client']}{helo} on {row['listener']}{tls}{at}")
    if row["sender"] or row["recipient"]:
        sender = f"from {_path(row['sender'])} " if row["sender"] else ""
        output.say(f"  {sender}{'to ' + _path(row['recipient']) if row['recipient'] else ''}".rstrip())
    if row["reason"]:
        output.say(f"  {row['reason']}")
    if row["queue_id"]:
        output.say(f"  the message: mailgate trace {row['queue_id']}")


def _path(path: str) -> str:
    return path if path.startswith("<") else f"<{path}>"


def _show(timeline: dict[str, Any]) -> None:
    size = "" if timeline["size"] is None else f", {timeline['size']} bytes"
    output.say(f"{timeline['queue_id']}  {timeline['message_id'] or 'no Message-ID'}", "bold")
    output.say(f"  {timeline['direction']} for tenant {timeline['tenant']}{size}")
    output.say(f"  from <{timeline['reverse_path']}> to {', '.join(timeline['recipients'])}")
    remarks = parts.exceptions(event["facts"] for event in timeline["events"] if event["kind"] == "decided")
    for event in timeline["events"]:
        recipient = f" {event['recipient']}" if event["recipient"] else ""
        text = f"  {output.moment(event['at'])}  {event['kind']}{recipient}: {event['text']}"
        output.say(text, _STYLES.get(event["kind"], ""))
        if event["kind"] == "inspected":
            parts.show(event["facts"].get("parts", ()), indent=27, remarks=remarks)
    for waiting in timeline["waiting"]:
        reason = f": {waiting['reason']}" if waiting["reason"] else ""
        output.say(f"  now {waiting['state']}: {waiting['recipient']}{reason}", "yellow")
