"""`mailgate doctor`: what is wrong with the set-up, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from mailgate.cli.checks import show
from mailgate.cli.judging import judging
from mailgate.cli.output import emit_json, fail
from mailgate.model.errors import UserError
from mailgate.ops import checks, doctor


def run(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Check settings, policies, certificate, scanner, resolver, disk, permissions, databases and ports. Where a gateway
    runs, its own settings are judged, not those of this command.

    Exit 1 where one fails."""
    try:
        by = judging()
        found = [by.told, *doctor.examine(by.settings)]
    except UserError as error:
        found = [checks.fail("settings", str(error), "correct the environment or the file of the settings")]
    is_well = not doctor.failed(found)
    if json:
        emit_json({"status": "ok" if is_well else "failing", "checks": [check.as_json() for check in found]})
    else:
        show(found)
        if not is_well:
            fail("not everything is as it must be")
    raise typer.Exit(0 if is_well else 1)
