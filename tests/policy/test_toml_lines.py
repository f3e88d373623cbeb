"""Every key of a TOML text is found on its line."""

from __future__ import annotations

import string
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.policy.toml_lines import KeyPath, TomlLines

SAMPLE = '''\
# a comment with [a.table] and key = 1
first = 1
dotted . "quoted \\u0041.key" = """text
[not.a.table]
not = "a key" \\""" still text"""""
literal = \'\'\'
also = "no key"
\'\'\'

[table] # comment
date = 1979-05-27 07:32:00
list = [ 1, # ] not the end
  "]", [2,
  3], ]
inline = { a = [ 1 ], b.c = "}" }

[[rules]]
name = 'first'
  [rules.below]
  deep = true

[[rules]]
name = "second"
[rules.below]
deep = false
[[rules.many]]
x = 1
[[rules.many]]
x = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("first",), 2),
        (("dotted",), 3),
        (("dotted", "quoted A.key"), 3),
        (("literal",), 6),
        (("table",), 10),
        (("table", "date"), 11),
        (("table", "list"), 12),
        (("table", "list", 0), 12),
        (("table", "list", 1), 13),
        (("table", "list", 2, 1), 14),
        (("table", "inline", "a", 0), 15),
        (("table", "inline", "b", "c"), 15),
        (("rules",), 17),
        (("rules", 0), 17),
        (("rules", 0, "name"), 18),
        (("rules", 0, "below", "deep"), 20),
        (("rules", 1), 22),
        (("rules", 1, "name"), 23),
        (("rules", 1, "below", "deep"), 25),
        (("rules", 1, "many", 0, "x"), 27),
        (("rules", 1, "many", 1), 28),
        (("rules", 1, "many", 1, "x"), 29),
    ],
)
def test_line_of_key(path: KeyPath, line: int) -> None:
    assert tomllib.loads(SAMPLE)
    assert TomlLines(SAMPLE).line(path) == line


def test_missing_key_has_the_line_of_its_table() -> None:
    assert TomlLines(SAMPLE).line(("rules", 1, "action")) == 22
    assert TomlLines(SAMPLE).line(("nowhere", "at", "all")) == 1


def test_empty_text() -> None:
    assert TomlLines("").line(("a",)) == 1


_KEYS = st.one_of(st.text(string.ascii_letters + "-_", min_size=1, max_size=5), st.text(max_size=5))
_SCALARS = st.one_of(st.integers(0, 99), st.booleans(), st.text(max_size=12), st.floats(0, 1))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=6,
)
_TABLES = st.dictionaries(_KEYS, _VALUES, max_size=4)


def _quoted(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 32 or ord(char) == 127 else "\\" + char if char in '"\\' else char
        for char in text
    )
    return f'"{escaped}"'


def _written(value: Any) -> str:
    """TOML; lists over several lines with comments that look like more."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[ # ], x = 1\n" + "".join(f"  {_written(item)},\n" for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)} = {_written(item)}" for key, item in value.items()) + "}"
    return repr(value)


@given(st.dictionaries(_KEYS, st.one_of(_TABLES, st.lists(_TABLES, min_size=1, max_size=3)), max_size=4))
def test_each_key_stands_on_the_line_that_is_found(document: dict[str, Any]) -> None:
    """Texts are written key by key, so the right lines are known."""
    text, expected = "", {}
    for key, tables in document.items():
        listed = tables if isinstance(tables, list) else [tables]
        for number, table in enumerate(listed):
            path: KeyPath = (key, number) if isinstance(tables, list) else (key,)
            expected[path] = text.count("\n") + 1
            text += f"[[{_quoted(key)}]]\n" if isinstance(tables, list) else f"[{_quoted(key)}]\n"
            for name, value in table.items():
                expected[(*path, name)] = text.count("\n") + 1
                text += f"{_quoted(name)} = {_written(value)} # end\n\n"
    tomllib.loads(text)
    lines = TomlLines(text)
    assert {path: lines.line(path) for path in expected} == expected
