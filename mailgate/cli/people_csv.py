"""People as lines of a CSV file (RFC 4180; a semicolon will do as well as a comma). Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mailgate.model.errors import UserError

COLUMNS = ("login", "password", "role", "groups")


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts from 1, where the line begins; `fault` says what is wrong with it, where anything is."""

    number: int
    row: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


def read(text: Iterable[str]) -> Iterator[Line]:
    """All lines but the first, which names the columns, and empty ones. `text` as from a file opened with
    `newline=""` and `errors="surrogateescape"`. UserError where the first line is none of those."""
    source = iter(text)
    first = next(source, "")
    delimiter = ";" if ";" in first and "," not in first else ","
    columns = _columns(first, delimiter)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, fault=f"is not CSV: {error}")
            continue
        if cells:
            yield _line(number, columns, cells)


def _columns(first: str, delimiter: str) -> list[str]:
    found = [name.strip().strip('"').lower() for name in first.removeprefix("\ufeff").strip().split(delimiter)]
    unknown = [name for name in found if name not in COLUMNS]
    if unknown or "login" not in found or len(set(found)) < len(found):
        raise UserError(f"the first line must name the columns, each once: login, and any of {', '.join(COLUMNS[1:])}")
    return found


def _line(number: int, columns: list[str], cells: list[str]) -> Line:
    if len(cells) != len(columns):
        return Line(number, fault=f"has {len(cells)} fields, and the first line {len(columns)}")
    row = dict(zip(columns, cells, strict=True))
    if any(not _is_text(cell) for cell in cells):
        return Line(number, fault="is not UTF-8; save the file as UTF-8 text")
    tidy = {name: cell if name == "password" else cell.strip() for name, cell in row.items()}
    if not tidy["login"]:
        return Line(number, fault="has no login")
    return Line(number, tidy)


def _is_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True
