"""`mailgate trace`: everything that is known of one message, in the order in which it happened."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output, parts
from mailgate.cli.connection import admin

_STYLES = {"delivered": "green", "relayed": "green", "refused": "red", "bounced": "red", "quarantined": "yellow"}


def run(
    id: Annotated[str, typer.Argument(metavar="ID", help="A queue id, or a Message-ID with or without < and >.")],
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list, since a Message-ID may come twice.")
    ] = False,
) -> None:
    """Print the timeline of a message: what came in, what was found in each part, what was decided and why, where it
    went. Exit 1 where nothing is on record."""
    found = admin().call("trace", id=id)
    if json:
        output.emit_json(found)
        return
    for number, timeline in enumerate(found):
        if number:
            output.say("")
        _show(timeline)


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
