"""How a list of checks is shown: what was found, what to do, what to publish."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from mailgate.cli.output import out
from mailgate.ops.checks import Check, Status

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


def show(checks: Iterable[Check]) -> None:
    for check in checks:
        out.print(Text.assemble((f"{check.status.value:>4}", _STYLES[check.status]), f"  {check.name}: {check.text}"))
        if check.advice:
            out.print(Text(f"      to do: {check.advice}", style="dim"))
        for line in str(check.facts.get("publish", "")).splitlines():
            out.print(Text(f"      {line}"))
