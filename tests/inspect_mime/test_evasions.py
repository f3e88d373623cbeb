"""Every evasion trick, any two together, some three: the hidden file must be among the parts, byte for byte."""

from __future__ import annotations

import pytest

from mailgate.inspect.mime import views
from tests.inspect_mime.evasion_tricks import LEAVES, MESSAGES, MULTIPARTS, PLAIN
from tests.inspect_mime.messages_of_parts import HEAD, PAYLOAD

# Pairs are thinned out evenly where all would take a minute; every trick still meets a good part of the others.
EVERY = 12
# A continuation line with nothing but the name could as well be DKIM's list of signed fields.
UNDECIDABLE = {("type/fold-first", "type-leading-blank")}


def is_hidden(raw: bytes) -> bool:
    return PAYLOAD not in {part.data for part in views(raw).parts}


def mixed(leaf: bytes) -> bytes:
    return HEAD + MULTIPARTS["plain"](leaf)


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_trick_alone_in_messages_and_in_multiparts(leaf: str) -> None:
    assert not is_hidden(HEAD + LEAVES[leaf])
    assert [name for name, change in MESSAGES.items() if is_hidden(change(mixed(LEAVES[leaf])))] == []
    number = list(LEAVES).index(leaf)
    chosen = list(MULTIPARTS)[number % EVERY :: EVERY]
    assert [name for name in chosen if is_hidden(HEAD + MULTIPARTS[name](LEAVES[leaf]))] == []


@pytest.mark.parametrize("outer", MULTIPARTS)
def test_a_multipart_trick_alone_in_messages_and_around_others(outer: str) -> None:
    wrap = MULTIPARTS[outer]
    assert not is_hidden(HEAD + wrap(PLAIN))
    hidden = [name for name, change in MESSAGES.items() if is_hidden(change(HEAD + wrap(PLAIN)))]
    assert [name for name in hidden if (outer, name) not in UNDECIDABLE] == []
    number = list(MULTIPARTS).index(outer)
    chosen = list(MULTIPARTS)[number % EVERY :: EVERY]
    assert [name for name in chosen if is_hidden(HEAD + wrap(MULTIPARTS[name](PLAIN)))] == []


@pytest.mark.parametrize("outer", MULTIPARTS)
def test_a_leaf_trick_in_two_multipart_tricks(outer: str) -> None:
    number = list(MULTIPARTS).index(outer)
    inner, leaves = list(MULTIPARTS), list(LEAVES)
    chosen = [
        (inner[(number + 11 * n) % len(inner)], leaves[(7 * number + 13 * n) % len(leaves)]) for n in range(EVERY)
    ]
    nested = {(name, leaf): MULTIPARTS[outer](MULTIPARTS[name](LEAVES[leaf])) for name, leaf in chosen}
    assert [names for names, entity in nested.items() if is_hidden(HEAD + entity)] == []


@pytest.mark.parametrize("first", MESSAGES)
def test_two_message_tricks(first: str) -> None:
    changed = MESSAGES[first](mixed(PLAIN))
    assert [name for name, change in MESSAGES.items() if is_hidden(change(changed))] == []
