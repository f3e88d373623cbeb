"""Whatever is done to a log shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.tenancy.audit.chain import BEGINNING, Entry, Head, link, verify

TEXTS = st.text(max_size=5)
OPTIONAL = st.none() | TEXTS
ENTRIES = st.builds(
    Entry,
    st.just(0),
    st.floats(0, 2e9),
    TEXTS,
    TEXTS,
    TEXTS,
    OPTIONAL,
    OPTIONAL,
    st.text(max_size=5),
    st.text(max_size=5),
)
FIELDS = ("at", "actor", "action", "object", "before", "after", "reason", "request", "hash")
OTHER = {"at": 7e9, "before": "tampered", "after": "tampered", "hash": b"tampered"}


def chained(entries: list[Entry], start: Head = BEGINNING) -> list[Entry]:
    made, head = [], start
    for entry in entries:
        numbered = replace(entry, n=head.n + 1)
        made.append(replace(numbered, hash=link(head.hash, numbered)))
        head = head_of(made)
    return made


def head_of(entries: list[Entry]) -> Head:
    return Head(entries[-1].n, entries[-1].hash) if entries else BEGINNING


@given(st.lists(ENTRIES, max_size=6))
def test_what_was_appended_is_whole(entries: list[Entry]) -> None:
    made = chained(entries)
    found = verify(made, BEGINNING, [head_of(made)])
    assert (found.faults, found.entries, found.head) == ((), len(entries), head_of(made))


@given(st.lists(ENTRIES, min_size=1, max_size=6), st.data())
def test_an_edit_of_any_field_shows(entries: list[Entry], data: st.DataObject) -> None:
    made = chained(entries)
    at = data.draw(st.integers(0, len(made) - 1))
    field = data.draw(st.sampled_from(FIELDS))
    made[at] = replace(made[at], **{field: OTHER.get(field, "tampered")})
    assert verify(made, BEGINNING).faults


@given(st.lists(ENTRIES, min_size=2, max_size=6), st.data())
def test_an_entry_taken_out_put_in_or_moved_shows(entries: list[Entry], data: st.DataObject) -> None:
    made = chained(entries)
    at = data.draw(st.integers(0, len(made) - 2))
    assert verify(made[:at] + made[at + 1 :], BEGINNING).faults
    assert verify([*made[: at + 1], *made[at:]], BEGINNING).faults
    assert verify([*made[:at], made[at + 1], made[at], *made[at + 2 :]], BEGINNING).faults


@given(st.lists(ENTRIES, min_size=1, max_size=6), st.data())
def test_a_tail_cut_off_shows_by_the_head_that_was_noted(entries: list[Entry], data: st.DataObject) -> None:
    made = chained(entries)
    left = data.draw(st.integers(0, len(made) - 1))
    assert not verify(made[:left], BEGINNING).faults
    assert verify(made[:left], BEGINNING, [head_of(made)]).faults == (
        f"entries {left + 1} to {len(made)} are missing at the end",
    )


@given(st.lists(ENTRIES, min_size=2, max_size=6), st.data())
def test_a_log_written_anew_shows_by_the_head_that_was_noted(entries: list[Entry], data: st.DataObject) -> None:
    made = chained(entries)
    entries[data.draw(st.integers(0, len(entries) - 1))] = replace(entries[0], actor="somebody else")
    forged = chained(entries)
    assert not verify(forged, BEGINNING).faults
    assert verify(forged, BEGINNING, [head_of(made)]).faults


def test_what_was_deleted_by_age_is_followed_by_the_rest() -> None:
    made = chained([Entry(0, 1.0, "a", "b", "c", None, None, "", "")] * 5)
    anchor = head_of(made[:3])
    assert not verify(made[3:], anchor, [head_of(made), anchor]).faults
    assert verify(made[4:], anchor).faults
    assert verify(made[3:], Head(3, bytes(32)), [anchor]).faults


def test_heads_are_written_and_read() -> None:
    head = Head(12, bytes(range(32)))
    assert Head.parse(str(head)) == head
    for text in ("", "12", "12:", "x:00", f"-1:{'00' * 32}", f"1:{'0' * 63}"):
        with pytest.raises(ValueError):
            Head.parse(text)
