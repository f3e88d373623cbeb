"""What the inspection of an unambiguous message costs on top of clamd's own time for its decoded parts.

    python -m bench.inspection [--rounds N] [--sizes "4 KiB,100 KiB,1 MiB,5 MiB"] [--signatures N]

All in processor time, of this process and of clamd together, so that a busy machine does little harm: first clamd alone
scans the decoded parts of each message, then messages like them (clamd remembers what it has seen) are inspected whole,
then these once more with another subject: what a repeated attachment costs. Needs clamd.

Both share one processor: two threads of clamd on the two halves of one core slow each other down, and what they lose so
would count as work. clamd's folder lies in memory, as docs/operations.md wants it. The database of the tests has three
signatures, and clamd is quick with them; `--signatures` adds N random ones of 40 bytes: its real database has many."""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import templates
from mailgate.inspect import clamd, worker
from mailgate.inspect.confinement import keep_freed_memory
from mailgate.inspect.mime import views
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.verdict import Verdict
from tests.support import components
from tests.support.clamd import Clamd
from tests.support.gateway import short_folder

SIZES = {"4 KiB": 4 << 10, "100 KiB": 100 << 10, "1 MiB": 1 << 20, "5 MiB": 5 << 20}
MESSAGES = {"4 KiB": 300, "100 KiB": 60, "1 MiB": 10, "5 MiB": 3}
_IN_MEMORY = Path("/dev/shm")
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time in milliseconds a message: ours and clamd's."""

    ours: float
    scanner: float

    @property
    def total(self) -> float:
        return self.ours + self.scanner


def processor_seconds(process: int) -> float:
    """Of all threads of another process, finer than the ticks of /proc (clock_getcpuclockid(3))."""
    return time.clock_gettime(~process << 3 | 2)


def measured(work: Callable[[bytes], object], messages: Sequence[bytes], scanner: int) -> Cost:
    theirs, ours = processor_seconds(scanner), time.process_time()
    for message in messages:
        work(message)
    share = 1000 / len(messages)
    return Cost((time.process_time() - ours) * share, (processor_seconds(scanner) - theirs) * share)


def unique(template: bytes) -> bytes:
    """With contents, boundary and file name that no other message has."""
    message = re.sub(rb"\x01+", lambda run: _letters(len(run[0])), template)
    return message.replace(b"=_load", b"=_" + _letters(24)).replace(b"data.bin", _letters(8) + b".bin")


def _letters(count: int) -> bytes:
    return bytes(random.choices(_LETTERS, k=count))


def one_round(size: int, count: int, endpoint: str, scanner: int) -> tuple[Cost, Cost, Cost]:
    """The parts by clamd alone, the whole inspection, and the inspection of what came before."""
    template = templates.build(size)
    messages, others = ([unique(template) for _ in range(count)] for _ in range(2))
    session = clamd.client(endpoint)
    inspection = worker.inspector([endpoint])
    inspect = InspectLimits()

    def alone(message: bytes) -> None:
        samples = {number: clamd.Sample((part.data,)) for number, part in enumerate(views(message).parts)}
        session.scan(samples, {}, time.monotonic() + 60)

    def whole(message: bytes) -> None:
        if inspection(message, inspect).verdict is not Verdict.CLEAN:
            sys.exit("an honest message was not found clean")

    alone(unique(template))
    whole(unique(template))
    again = [message.replace(b"Subject: load", b"Subject: again") for message in messages]
    figures = (measured(alone, others, scanner), measured(whole, messages, scanner), measured(whole, again, scanner))
    session.disconnect()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default=",".join(SIZES), help="some of: " + ", ".join(SIZES))
    parser.add_argument("--signatures", type=int, default=0)
    arguments = parser.parse_args()
    if reason := components.missing("clamd"):
        sys.exit(reason)
    keep_freed_memory()  # as every inspector does
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    root = short_folder("mg-bench-")
    scanner = Clamd(root, _IN_MEMORY if _IN_MEMORY.is_dir() else None)
    _write_signatures(root / "db" / "random.ndb", arguments.signatures)
    try:
        scanner.start()
        for name in arguments.sizes.split(","):
            rounds = [
                one_round(SIZES[name], MESSAGES[name], scanner.endpoint, scanner.process_id)
                for _ in range(arguments.rounds)
            ]
            _print(name, rounds)
    finally:
        scanner.stop()
        shutil.rmtree(root, ignore_errors=True)


def _write_signatures(path: Path, count: int) -> None:
    if count:  # clamd refuses an empty file
        path.write_text("".join(f"Test.Random.{number}:0:*:{random.randbytes(40).hex()}\n" for number in range(count)))


def _print(name: str, rounds: Sequence[tuple[Cost, Cost, Cost]]) -> None:
    alone, whole, again = ([each[number] for each in rounds] for number in range(3))
    ratio = statistics.median(second.total / first.scanner for first, second in zip(alone, whole, strict=True))

    def median(costs: Sequence[Cost]) -> str:
        ours, theirs = (statistics.median(getattr(cost, key) for cost in costs) for key in ("ours", "scanner"))
        return f"{ours:7.2f} + {theirs:7.2f} ms"

    print(
        f"{name:>8}  clamd alone {statistics.median(cost.scanner for cost in alone):7.2f} ms   "
        f"inspection {median(whole)}   on top {100 * (ratio - 1):5.0f} %   repeated {median(again)}"
    )


if __name__ == "__main__":
    main()
