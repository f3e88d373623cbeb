"""queue -> 1,000 next hops of which 10 hang: how much do the others lose?

    python -m bench.relay_destinations [--rounds N] [--messages N]

Each round runs twice: once with 10 destinations that accept connections and say nothing, once without mail for them.
What counts is how long the mail for the other 990 took, from the first message to the last. All destinations are
addresses on loopback; the queue holds their mail in turn. Needs Linux, where all of 127.0.0.0/8 is there."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from collections.abc import Iterator

from bench.relay import Sink, start
from tests.support.certificates import Authority
from tests.support.gateway import Gateway, short_folder

GOOD, HANGING = 990, 10
HANGING_NETWORK = "127.2."


def _recipients(messages: int, with_hanging: bool) -> Iterator[str]:
    """`messages` for each destination, in turn."""
    for _ in range(messages):
        for number in range(GOOD):
            yield f"someone@[127.1.{number // 250}.{number % 250 + 1}]"
            if with_hanging and number % (GOOD // HANGING) == 0:
                yield f"someone@[{HANGING_NETWORK}0.{number // (GOOD // HANGING) + 1}]"


def rate(sink: Sink, messages: int, with_hanging: bool) -> float:
    """Messages a second to the destinations that answer."""
    gateway = Gateway(short_folder("mg-bench-"), "unix:/nonexistent", LOG_LEVEL="warning", RELAY_PORT=str(sink.port))
    try:
        taken = sink.taken
        start(gateway, list(_recipients(messages, with_hanging)))
        return sink.rate(GOOD * messages, taken)
    finally:
        gateway.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--messages", type=int, default=3, help="messages for each destination (3)")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("needs Linux")
    work = short_folder("mg-bench-ca-")
    sink = Sink(Authority(work).issue("sink.example"), False, "--everywhere", "--hang", HANGING_NETWORK)
    try:
        kept: list[float] = []
        for number in range(options.rounds):
            order = (False, True) if number % 2 else (True, False)
            found = {with_hanging: rate(sink, options.messages, with_hanging) for with_hanging in order}
            kept.append(found[True] / found[False])
            print(
                f"round {number + 1}: {found[False]:.0f} msg/s without, {found[True]:.0f} with 10 hanging destinations"
            )
    finally:
        sink.stop()
        shutil.rmtree(work, ignore_errors=True)
    print(f"the others lose {1 - statistics.median(kept):.1%} (median of the rounds)")


if __name__ == "__main__":
    main()
