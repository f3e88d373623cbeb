"""Text that strangers would send to make a parser slow: shapes for everything, and shapes made for one pattern."""

from __future__ import annotations

import itertools
import re
import signal
import time
from collections.abc import Callable, Iterator
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

SIZE = 64 << 10  # bytes of each shape
MOST_SECONDS = 0.05  # of processor time for SIZE bytes, where the machine is as quick as _NOMINAL says
_NOMINAL = 0.0085  # seconds that `_reference` takes on the machine of the limit
TRIES = 4  # the best counts: other processes fill caches and share cores, none of them makes a run faster

_ATOMS = (
    *(
        " ",
        "\t",
        "\r\n",
        "\r\n ",
        "\n",
        "\r",
        "a",
        "1",
        "0",
        ".",
        "a.",
        "-",
        "--",
        "(",
        ")",
        "()",
        '"',
        "\\",
        '\\"',
        '""',
    ),
    *(
        "=",
        ";",
        "a=",
        "a=b;",
        "a=b; ",
        ",",
        "@",
        "a@b,",
        "<",
        ">",
        "<>",
        "[",
        "]",
        "?",
        "=?",
        "=?a?q?",
        "%",
        "%{",
        "%{s}",
    ),
    *("/", "//", ":", "a:", "a:\r\n", "_", "é", "\x80", "\0", "A1", "1.", "a a ", " ,", "group:;", "x (", ". ", "@["),
    *(
        "=?utf-8?q?=40?=",
        "ip4:1.2.3.4 ",
        "include:a ",
        "a/",
        "xn--",
        "_._",
        "+",
        "+2B",
        "{",
        "}",
        "'",
        "&#1;",
        "250 a\r\n",
    ),
    *("250-a\r\n", "<a>", "\ufeff", "\u202e", "*", "i=1;", "a=b a=b; ", '"a" '),
)
_HEADS_AND_TAILS = (
    *((" ", "x"), ("a", "!"), ("a", ";"), ("1", "x"), (" ", "="), ("a.", "!"), ("(", ")"), ("\\", "x"), ("a-", "!")),
    *(
        ("-", "!"),
        ('"', "x"),
        ("A1", "_"),
        ("a", "%"),
        ("_", "!"),
        ("a", "@"),
        ("a@", ">"),
        ("=?a?q?", "?="),
        ("0", "\0"),
    ),
)


def shapes() -> Iterator[tuple[str, Callable[[int], str]]]:
    """A name, and a function from a size to a text of about that many characters."""
    for atom in _ATOMS:
        yield f"{atom!r}*", lambda size, atom=atom: _filled(atom, size)
    for atom, tail in _HEADS_AND_TAILS:
        yield f"{atom!r}* {tail!r}", lambda size, atom=atom, tail=tail: _filled(atom, size) + tail
    for opening, closing in ("()", "[]", "{}", "<>"):
        yield f"{opening}*{closing}*", lambda size, a=opening, b=closing: a * (size // 2) + b * (size // 2)


def _filled(atom: str, size: int) -> str:
    return (atom * (size // len(atom) + 1))[:size]


class TookTooLongError(Exception):
    """A run was cut off: what it does is not linear by far."""


def seconds(run: Callable[[], object], cap: float = 3.0) -> float:
    """Processor seconds of one run, whatever it raises; TookTooLongError above `cap`."""

    def cut(signum: int, frame: object) -> None:
        raise TookTooLongError

    before = signal.signal(signal.SIGVTALRM, cut)
    began = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, cap)
        run()
    except TookTooLongError:
        return time.process_time() - began
    except Exception:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return time.process_time() - began


def slowness() -> float:
    """How many times slower than the machine of the limit this one is now: shared cores and caches count as well."""

    def reference() -> None:
        total = 0
        for number in range(200_000):
            total += number

    return max(1.0, min(seconds(reference) for _ in range(5)) / _NOMINAL)


def is_slow(run_of_size: Callable[[int], Callable[[], object]], most: float = MOST_SECONDS, size: int = SIZE) -> str:
    """Empty where `size` bytes take at most `most` seconds; else what was measured. Small sizes go first, so that a
    pattern that explodes is told and not waited for; where a sixteenth takes so little that even the square of it is
    within the limit, that is the answer."""
    taken = 0.0
    for part in (size // 1024, size // 16):
        run = run_of_size(part)
        taken = seconds(run)
        if taken > most and min(seconds(run) for _ in range(TRIES)) > most * slowness():
            return f"more than {most} s for {part} bytes"
    if taken < most / 16**2 / 2:
        return ""
    run = run_of_size(size)
    taken = seconds(run)
    for _ in range(TRIES - 1):
        if taken <= most or taken > 60 * most:
            break
        taken = min(taken, seconds(run))
    if taken <= most or taken <= most * slowness():
        return ""
    return f"{taken:.3f} s for {size} bytes"


# --- shapes for one pattern


def shapes_for(pattern: re.Pattern[Any]) -> Iterator[tuple[str, Callable[[int], Any]]]:
    """Each repetition of the pattern filled, behind what must stand before it and in front of what makes it fail; and
    many beginnings, as a search meets them."""
    is_bytes = isinstance(pattern.pattern, bytes)
    source = pattern.pattern.decode("latin-1") if is_bytes else pattern.pattern
    tree = sre_parser.parse(source, pattern.flags & ~re.UNICODE if is_bytes else pattern.flags)
    seen: set[tuple[str, str, str]] = set()
    for before, body, after in _repeats(tree, ""):
        for filler in dict.fromkeys((body, *_common(body))):
            for tail in dict.fromkeys(("", "!", "\0", "\n", after[:40] + "\0", after[:40])):
                seen.add((before[-200:], filler, tail))
    for before, filler, tail in sorted(seen):
        if not filler:
            continue
        yield (
            f"{before[-40:]!r} {filler[:40]!r}* {tail!r}",
            lambda size, b=before, f=filler, t=tail: _as(b + _filled(f, size) + t, is_bytes),
        )
        if before:
            block = before + filler * 3 + tail
            yield f"({block[:60]!r})*", lambda size, b=block: _as(_filled(b, size), is_bytes)
            yield f"{before[-40:]!r}*", lambda size, b=before: _as(_filled(b, size), is_bytes)


def _as(text: str, is_bytes: bool) -> Any:
    return text.encode("latin-1", "replace") if is_bytes else text


def _common(body: str) -> Iterator[str]:
    """Fillers that neighbouring repetitions may share."""
    yield from (char for char in "a1 A-.=\t" if len(body) == 1)
    if len(body) > 1:
        yield body[0]
        yield body[-1]


def _repeats(tree: Any, before: str) -> Iterator[tuple[str, str, str]]:
    """(text before, one turn of the body, text after) of each repetition that has no small limit."""
    items = list(tree)
    for number, (operation, value) in enumerate(items):
        rest = _sample(items[number + 1 :])
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            _, most, body = value
            if most > 40:
                for text in itertools.islice(_samples(body), 4):
                    yield before, text, rest
            yield from ((b, f, a + rest) for b, f, a in _repeats(body, before))
        elif operation is sre.SUBPATTERN:
            yield from ((b, f, a + rest) for b, f, a in _repeats(value[3], before))
        elif operation is sre.ATOMIC_GROUP:
            yield from ((b, f, a + rest) for b, f, a in _repeats(value, before))
        elif operation is sre.BRANCH:
            for branch in value[1]:
                yield from ((b, f, a + rest) for b, f, a in _repeats(branch, before))
        elif operation in (sre.ASSERT, sre.ASSERT_NOT):
            yield from ((b, f, a) for b, f, a in _repeats(value[1], before))
        before += _sample([(operation, value)])


def _sample(items: Any) -> str:
    return next(_samples(items), "")


def _samples(items: Any) -> Iterator[str]:
    """Some texts that match: each choice of one place at a time, the others at their first."""
    choices = [_choices(operation, value) for operation, value in items]
    first = [options[0] if options else "" for options in choices]
    yield "".join(first)
    for number, options in enumerate(choices):
        for option in options[1:]:
            yield "".join((*first[:number], option, *first[number + 1 :]))


def _choices(operation: Any, value: Any) -> list[str]:
    if operation is sre.LITERAL:
        return [chr(value)]
    if operation is sre.NOT_LITERAL:
        return [chr(other) for other in (97, 98) if other != value][:1]
    if operation is sre.ANY:
        return ["a", " "]
    if operation is sre.IN:
        return _members(value)
    if operation is sre.BRANCH:
        return [_sample(branch) for branch in value[1]]
    if operation is sre.SUBPATTERN:
        return list(itertools.islice(_samples(value[3]), 6))
    if operation is sre.ATOMIC_GROUP:
        return list(itertools.islice(_samples(value), 6))
    if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        least, _, body = value
        return [text * max(least, 1) for text in itertools.islice(_samples(body), 3)] if least else [_sample(body), ""]
    return [""]


_TRIED = [*"aA1 -.=\t0", *(chr(code) for code in range(256))]


def _members(items: Any) -> list[str]:
    """Up to five characters of the class, the usual ones first."""
    is_negated = items[0][0] is sre.NEGATE
    found = []
    for char in _TRIED:
        if any(_holds(item, char) for item in items[is_negated:]) != is_negated and char not in found:
            found.append(char)
        if len(found) == 5:
            break
    return found


_CATEGORIES = {
    sre.CATEGORY_DIGIT: str.isdigit,
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
    sre.CATEGORY_NOT_DIGIT: lambda char: not char.isdigit(),
    sre.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    sre.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}


def _holds(item: Any, char: str) -> bool:
    operation, value = item
    if operation is sre.LITERAL:
        return ord(char) == value
    if operation is sre.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    if operation is sre.CATEGORY:
        return _CATEGORIES[value](char)
    raise AssertionError(f"unknown member of a class: {item}")
