"""`mailgate user import`: many users from a CSV file, with a report line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.progress import Progress

from mailgate.cli import output, people_csv
from mailgate.cli.connection import admin
from mailgate.cli.people_csv import Line
from mailgate.model.address import AddressError
from mailgate.model.errors import UserError
from mailgate.tenancy.addresses import canonical

BATCH = 20  # users in one transaction: half a second, most of it for hashing their passwords


@dataclass(frozen=True, slots=True)
class Outcome:
    line: Line
    fault: str

    @property
    def text(self) -> str:
        if self.fault:
            return self.fault
        return "added" if self.line.row.get("password") else "added, without a password"


def run(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8; its first line: login,password,role,groups.")],
    tenant: Annotated[str, typer.Option(help="The tenant's name.")],
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="Check every line first; add nobody where one is wrong.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Add a user for each line of a CSV file, with a personal mailbox, and say line by line what became of it.

    Only `login` is needed. Who has no password can't log in until one is set. Groups, with spaces between, must exist.
    About 30 users a second are added: hashing a password is slow on purpose."""
    if all_or_nothing:
        wrong = [each for each in _outcomes(file, tenant, "user.import-check") if each.fault]
        if wrong:
            _tell(wrong, as_json)
            raise UserError(f"nobody was added: {len(wrong)} lines of {file} are wrong")
    faults = _tell(_outcomes(file, tenant, "user.import"), as_json)
    if faults:
        raise typer.Exit(1)


def _tell(outcomes: Iterable[Outcome], as_json: bool) -> int:
    """Returns how many were refused."""
    added = refused = 0
    listed = []
    for each in outcomes:
        refused += bool(each.fault)
        added += not each.fault
        login = each.line.row.get("login", "")
        if as_json:
            listed.append({"line": each.line.number, "login": login, "ok": not each.fault, "text": each.text})
        else:
            named = f"{login}: " if login else ""
            output.say(f"line {each.line.number}: {named}{each.text}", "red" if each.fault else "")
    if as_json:
        output.emit_json(listed)
    else:
        output.say(f"{added} added, {refused} refused", "bold")
    return refused


def _outcomes(file: Path, tenant: str, command: str) -> Iterator[Outcome]:
    """In the order of the file, which is never in memory as a whole."""
    with _opened(file) as text, _progress(file) as advance:
        lines = _without_repeats(people_csv.read(text))
        while batch := list(islice(lines, BATCH)):
            rows = [line.row for line in batch if not line.fault]
            faults = iter(admin().call(command, tenant=tenant, rows=rows) if rows else [])
            for line in batch:
                yield Outcome(line, line.fault or next(faults))
            advance(len(batch))


def _without_repeats(lines: Iterable[Line]) -> Iterator[Line]:
    first: dict[str, int] = {}
    for line in lines:
        try:
            login = canonical(line.row.get("login", ""))
        except AddressError:
            yield line  # what is wrong with it is told by the gateway
            continue
        known = first.setdefault(login, line.number)
        yield line if known == line.number else Line(line.number, line.row, f"is in line {known} already")


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield text
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal."""
    with file.open("rb") as counted:
        total = sum(1 for _ in counted) - 1
    with Progress(console=output.err, transient=True, disable=not output.err.is_terminal) as bar:
        task = bar.add_task("users", total=total)
        yield lambda count: bar.advance(task, count)
