"""Mutation fuzzer of the MIME parser: views() must neither raise, nor hang, nor break its own promises.

Usage: python tests/fuzz/fuzz_mime.py [--seed N] [--seconds S | --executions N] [--corpus DIR]
A finding is written to the current folder as finding-<seed>-<execution>.eml and ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from mailgate.inspect.mime import ParseLimits, Views, views
from mailgate.model.defect import DEFECTS
from tests.inspect_mime.evasion_tricks import LEAVES, MESSAGES, MULTIPARTS
from tests.inspect_mime.messages_of_parts import HEAD

CORPUS = Path(__file__).parent / "corpus" / "mime"
_LEAVES, _MULTIPARTS, _MESSAGES = (list(tricks.values()) for tricks in (LEAVES, MULTIPARTS, MESSAGES))
LIMITS = ParseLimits(depth=5, parts=16, decoded_bytes=1 << 20)
SLOW_SECONDS = 2.0
TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b"--",
    b"--b",
    b"--b--",
    b"--bnd",
    b"--bnd--",
    b";",
    b"=",
    b'"',
    b"'",
    b"(",
    b")",
    b"\\",
    b":",
    b",",
    b"\xef\xbb\xbf",
    b"From x\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Type: text/plain; charset=utf-7\r\n",
    b"MIME-Version: 1.0\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"=?utf-8?q?b?=",
    b"Content-Transfer-Encoding: x-uuencode\r\n",
    b"begin 644 a\r\n",
    b"`\r\nend\r\n",
    b"=ybegin line=128 size=9 name=a\r\n",
    b"=yend\r\n",
    b"(This file must be converted with BinHex 4.0)\r\n:",
    b"data:text/html;base64,",
    b"boundary=b",
    b"boundary*0=b",
    b"filename*=utf-8''%41",
    b"====",
    b"\x78\x9f\x3e\x22",
    b"0\x80\x06\x09",
    b"charset=utf-16",
    b"\xff\xfe",
    b"TVqQAAMAAAAEAAAA" * 3,
]


def evasion(rng: random.Random) -> bytes:
    """Known tricks of every layer in a combination that nobody has thought of."""
    entity = rng.choice(_LEAVES)
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        entity = rng.choice(_MULTIPARTS)(entity)
    raw = HEAD + entity
    for _ in range(rng.choice((0, 1, 2))):
        raw = rng.choice(_MESSAGES)(raw)
    return raw


def mutate(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One mutant: a few random edits of a seed or of combined evasion tricks, sometimes spliced with another."""
    data = bytearray(rng.choice(seeds) if rng.random() < 0.85 else evasion(rng))
    if rng.random() < 0.2:
        other = rng.choice(seeds)
        data[rng.randint(0, len(data)) :] = other[rng.randint(0, len(other)) :]
    for _ in range(1 + int(rng.expovariate(0.4))):
        at = rng.randint(0, len(data))
        match rng.randrange(7):
            case 0:
                data[at : at + 1] = bytes((rng.randrange(256),))
            case 1:
                data[at:at] = rng.choice(TOKENS)
            case 2:
                del data[at : at + rng.choice((1, 2, 4, 16, 80))]
            case 3:
                length = rng.choice((4, 20, 100))
                data[at:at] = data[at : at + length] * rng.choice((1, 2, 8))
            case 4:
                token = rng.choice(TOKENS)
                data[at : at + len(token)] = token
            case 5:
                data[at:at] = rng.choice(TOKENS) * rng.choice((2, 10, 40))
            case _:
                start = rng.randint(0, len(data))
                data[at:at] = data[start : start + 200]
    return bytes(data[: 64 << 10])


def check(data: bytes, found: Views) -> None:
    """The promises that hold for every input."""
    contents = [part.data for part in found.parts]
    assert len(contents) == len(set(contents)), "a content twice"
    assert len(contents) <= LIMITS.parts, "more parts than the limit"
    assert sum(map(len, contents)) <= LIMITS.decoded_bytes, "more bytes than the limit"
    assert len({part.place for part in found.parts}) == len(found.parts), "a place twice"
    assert all(defect.name in DEFECTS for defect in found.defects), "a defect without a class"
    assert all(0 <= part.span[0] <= part.span[1] <= len(data) for part in found.parts), "a span outside"
    edges = [edge for span in found.raw_spans for edge in span]
    assert edges == sorted(edges), "raw spans out of order"
    if found.is_ambiguous and data:
        assert found.raw_spans == ((0, len(data)),), "an ambiguous message not scanned raw in full"


def is_slow(data: bytes) -> bool:
    """In processor time, which costs too much to be asked of every execution."""
    start = time.process_time()
    views(data, LIMITS)
    seconds = time.process_time() - start
    if seconds > SLOW_SECONDS:
        print(f"slow: {seconds:.1f} s", file=sys.stderr)
    return seconds > SLOW_SECONDS


def run(seed: int, executions: int, seconds: float, seeds: Sequence[bytes]) -> tuple[int, bytes | None]:
    """Executions done, and the input that broke a promise, if any."""
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    done = 0
    while done < executions and time.monotonic() < deadline:
        data = mutate(rng, seeds)
        start = time.perf_counter()
        try:
            check(data, views(data, LIMITS))
        except Exception:
            traceback.print_exc()
            return done, data
        if time.perf_counter() - start > SLOW_SECONDS and is_slow(data):
            return done, data
        done += 1
    return done, None


def load(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--executions", type=int, default=sys.maxsize)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    arguments = parser.parse_args()
    start = time.monotonic()
    done, finding = run(arguments.seed, arguments.executions, arguments.seconds, load(arguments.corpus))
    elapsed = time.monotonic() - start
    print(f"seed {arguments.seed}: {done} executions in {elapsed:.0f} s ({done / max(elapsed, 1e-3):.0f}/s)")
    if finding is None:
        return 0
    path = Path(f"finding-{arguments.seed}-{done}.eml")
    path.write_bytes(finding)
    print(f"finding written to {path}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
