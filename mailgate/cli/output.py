"""What the command line prints: tables for people, JSON for programs, one line for what was done."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from mailgate.model.errors import UserError

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table on a terminal; elsewhere one line a row with tabs between the columns, so that `cut` and `awk` work."""
    listed = [["" if cell is None else _visible(str(cell), "\n\t") for cell in row] for row in rows]
    if not out.is_terminal:
        for row in listed:
            print("\t".join(row))  # noqa: T201
        return
    # long words are folded, not cut: addresses and ids are there to be copied
    headers = [Column(name, overflow="fold") for name in columns]
    grid = Table(*headers, title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for row in listed:
        grid.add_row(*(Text(cell) for cell in row))
    out.print(grid)
    if not listed:
        out.print(Text("(nothing)", style="dim"))


def emit_json(value: Any) -> None:
    """One JSON document, indented, on stdout."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def say(text: str, style: str = "") -> None:
    """Plain text on stdout; `style` counts only on a terminal. Markup inside `text` is printed as it is."""
    out.print(Text(_visible(text), style=style))


def _visible(text: str, also: str = "") -> str:
    """Control characters, and those in `also`, as escapes: names come from strangers, and a terminal obeys them."""
    return "".join(
        char.encode("unicode_escape").decode()
        if char in also or (not char.isprintable() and char not in "\n\t")
        else char
        for char in text
    )


def done(text: str) -> None:
    """One line that says what was done."""
    say(text, "green")


def hint(text: str) -> None:
    """A remark on stderr, so that what is on stdout stays a list."""
    err.print(Text(_visible(text), style="dim"))


def fail(text: str) -> None:
    """An error on stderr."""
    err.print(Text.assemble(("mailgate: ", "bold red"), _visible(text)))


def ask_again(warning: str, what: str, expected: str, given: str) -> None:
    """Before something is deleted for good: its name must be typed once more, or be `given`. Raises UserError."""
    if not given:
        if not sys.stdin.isatty():
            raise UserError(f"no terminal to ask whether to go on: give --confirm {expected}")
        given = typer.prompt(f"{warning}. Type its {what} to go on")
    if given != expected:
        raise UserError(f"{given!r} is not {expected!r}: nothing was deleted")


def moment(seconds: float | None) -> str:
    """`2026-05-04 13:37:01.250` in UTC, from seconds since 1970; a dash for None."""
    if seconds is None:
        return "-"
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
