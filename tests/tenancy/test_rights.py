"""Rights as letters and as words, and what a user may do by all that is assigned to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.errors import UserError
from mailgate.tenancy.access.rights import ALL, DEFAULT, LETTERS, Right, Rights, effective, parse_rights, rights_of

SETS = st.text(LETTERS, max_size=20).map(rights_of)


@pytest.mark.parametrize(
    ("text", "letters", "names"),
    [
        ("read", "lrs", ("read",)),
        ("Read, WRITE", "lrswik", ("read", "write")),
        ("delete,read", "lrsxte", ("read", "delete")),
        ("send-as", "p", ("send-as",)),
        ("administer,send-as,read,write,delete", LETTERS, tuple(Right)),
        ("lr", "lr", ("lr",)),
        ("rl,send-as", "lrp", ("send-as", "lr")),
        ("write", "wik", ("write",)),
        ("write,lrst", "lrswikt", ("read", "write", "t")),
    ],
)
def test_words_and_letters(text: str, letters: str, names: tuple[str, ...]) -> None:
    assert parse_rights(text) == Rights(letters)
    assert parse_rights(text).names == names


@pytest.mark.parametrize("text", ["", " , ", "reed", "read;write", "lr\0", "read,\u202e", "z" * 1000, "LRS!"])
def test_what_is_no_right_is_explained(text: str) -> None:
    with pytest.raises(UserError, match="read, write, delete, send-as, administer") as refused:
        parse_rights(text)
    assert str(refused.value).isprintable()


@given(SETS)
def test_what_is_shown_can_be_given_again(rights: Rights) -> None:
    if rights:
        assert parse_rights(rights.letters) == rights
        assert parse_rights(",".join(rights.names)) == rights


@given(st.lists(SETS, max_size=5))
def test_effective_rights_are_those_that_any_assignment_gives(granted: list[Rights]) -> None:
    found = effective(granted)
    for letter in LETTERS:
        assert (letter in found.letters) == any(letter in rights.letters for rights in granted)
    assert list(found.letters) == sorted(found.letters, key=LETTERS.index)


def test_without_an_assignment_nothing_is_allowed() -> None:
    assert not effective([])
    assert not any(Rights().allows(right) for right in Right)


def test_an_assignment_does_not_hand_the_mailbox_on_unless_it_says_so() -> None:
    assert [right for right in Right if not DEFAULT.allows(right)] == [Right.ADMINISTER]
    assert all(ALL.allows(right) for right in Right)
