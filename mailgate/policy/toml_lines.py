"""On which line of a TOML text each key, table and array element stands; `tomllib` does not tell.

The text must be valid TOML (checked by tomllib before), so this scanner only has to find its way, not to judge.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from typing import cast

KeyPath = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"{3,5}(?!")'
    r"|'''[\s\S]*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\r\n]+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")


class TomlLines:
    """`line(path)` for paths such as `("attachments", 0, "action")`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {(): 1}
        self._lengths: dict[KeyPath, int] = {}
        self._document()

    def line(self, path: KeyPath) -> int:
        """Line of `path`, or of the nearest table around it that stands in the text; 1 where there is none."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _document(self) -> None:
        table: KeyPath = ()
        self._skip(_SPACE)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_SPACE)

    def _header(self) -> KeyPath:
        is_array = self._text.startswith("[[", self._at)
        start = self._at
        self._at += 2 if is_array else 1
        keys = self._keys()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._last_element((*path, key))
        path = (*path, keys[-1])
        if is_array:
            self._note(path, start)
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = self._last_element(path)
        self._note(path, start)
        return path

    def _last_element(self, path: KeyPath) -> KeyPath:
        length = self._lengths.get(path)
        return (*path, length - 1) if length else path

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[str]:
        self._skip(_SPACE)
        keys = [self._key()]
        while (dot := _DOT.match(self._text, self._at)) is not None:
            self._at = dot.end()
            keys.append(self._key())
        self._skip(_SPACE)
        return keys

    def _key(self) -> str:
        quoted = self._text[self._at] in "\"'"
        raw = self._skip(_STRING if quoted else _BARE_KEY)
        return cast("str", tomllib.loads(f"key = {raw}")["key"]) if quoted else raw

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._skip(_STRING if opening in "\"'" else _BARE_VALUE)

    def _array(self, path: KeyPath) -> None:
        self._open()
        number = 0
        while self._text[self._at] != "]":
            element: KeyPath = (*path, number)
            self._note(element, self._at)
            self._value(element)
            self._comma()
            number += 1
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._open()
        while self._text[self._at] != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _open(self) -> None:
        self._at += 1
        self._skip(_SPACE)

    def _comma(self) -> None:
        self._skip(_SPACE)
        if self._text[self._at] == ",":
            self._open()

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _note(self, path: KeyPath, at: int) -> None:
        self._lines.setdefault(path, bisect_left(self._newlines, at) + 1)
