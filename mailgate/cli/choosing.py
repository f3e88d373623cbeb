"""Options that choose waiting recipients, shared by the commands on queue and quarantine."""

from __future__ import annotations

import datetime
import os
import re
from typing import Annotated

import typer

from mailgate.model.errors import UserError

_AGE = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Id = Annotated[str, typer.Argument(metavar="ID", help="A queue id, as the list shows it.")]
Recipients = Annotated[
    list[str] | None, typer.Option("--recipient", help="Only this recipient; may be repeated. All where not given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tenant = Annotated[str, typer.Option(help="Only what belongs to this tenant.")]
Destination = Annotated[str, typer.Option(help="Only what goes to this domain.")]
Sender = Annotated[str | None, typer.Option(help="Only this reverse-path; '' for the null one.")]
To = Annotated[str, typer.Option("--recipient", help="Only this address, or every one of a domain: @far.example.")]
Why = Annotated[str, typer.Option(help="Only what waits for a reason with this text in it.")]
OlderThan = Annotated[str, typer.Option(help="Only what came in longer ago, e.g. 90s, 15m, 2h, 3d.")]
YoungerThan = Annotated[str, typer.Option(help="Only what came in since, e.g. 15m.")]
Since = Annotated[str, typer.Option(help="Only what came in at this time (UTC) or later, e.g. 2026-05-04T13:37.")]
Until = Annotated[str, typer.Option(help="Only what came in before this time (UTC), e.g. 2026-05-04.")]
Rule = Annotated[str, typer.Option(help="Only what a rule with this text in its name decided on.")]
Limit = Annotated[int, typer.Option(min=0, help="Lines at most; 0 for all.")]
Reason = Annotated[str, typer.Option(help="Kept in the timeline.")]
ReadingReason = Annotated[
    str,
    typer.Option(
        "--reason",
        help="For operators: show subject and file names too. The tenant's audit log keeps who read them, and why.",
    ),
]


def seconds(age: str) -> float | None:
    """`2h` to 7200; None where nothing is given. UserError for anything else."""
    if not age:
        return None
    match = _AGE.fullmatch(age)
    if match is None:
        raise UserError(f"{age!r} is no age: give a number and s, m, h or d, e.g. 2h")
    return float(int(match[1]) * _SECONDS[match[2]])


def moment(text: str) -> float | None:
    """`2026-05-04` or `2026-05-04T13:37` (UTC) in seconds since 1970; None where nothing is given. UserError for
    anything else."""
    if not text:
        return None
    try:
        given = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{text!r} is no time: give a day or a time in UTC, e.g. 2026-05-04 or 2026-05-04T13:37"
        ) from None
    return (given if given.tzinfo else given.replace(tzinfo=datetime.UTC)).timestamp()


def behind_sudo() -> str:
    """Who became this account by sudo, for the timeline; empty for nobody."""
    return os.environ.get("SUDO_USER", "")
