"""How changes are told to people: all of an entry, in words, and nothing cut off."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from mailgate.cli import audit, output


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, {"users": ["a@x.example", "b@x.example"]}, ["users: a@x.example, b@x.example"]),
        ({"role": "user"}, {"role": "administrator"}, ["role: user -> administrator"]),
        ({"state": "active"}, {"state": "active"}, ["state: active"]),
        ({"members": ["a@x.example"]}, None, ["members: was a@x.example"]),
        ({"quota": None}, {"quota": 1024}, ["quota: - -> 1024"]),
        ({"groups": ["staff"]}, {"switched_off": []}, ["groups: was staff", "switched off: none"]),
        (None, {"expires_at": 0.5, "locked_until": None}, ["expires at: 1970-01-01 00:00:00.500", "locked until: -"]),
        ({"holders": {"a": "lr"}}, {"holders": {}}, ["holders: a lr -> nobody"]),
        (None, None, []),
    ],
)
def test_what_was_changed(before: Any, after: Any, told: list[str]) -> None:
    entry = {"before": before, "after": after, "reason": ""}
    assert list(audit._changes(entry)) == told
    assert list(audit._changes(entry | {"reason": "order 17"})) == [*told, "reason: order 17"]


def test_a_narrow_terminal_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=shown, force_terminal=True, width=40, color_system=None))
    output.table(("login", "mailbox"), [(f"{'user' * 6}@acme.example", f"{'box' * 8}@acme.example")])
    assert "\u2026" not in shown.getvalue()
    assert sum(map(shown.getvalue().count, "@")) == 2
