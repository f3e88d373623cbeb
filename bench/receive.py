"""receive -> scan -> Maildir, beside Postfix + clamav-milter in the same run and with the same clamd.

    python -m bench.receive [--rounds N] [--sizes 4KiB,100KiB,5MiB] [--sessions N] [--per-connection N] [--only NAME]

Time runs from the first connection until the last message lies in the Maildir. Rounds alternate between the two; what
counts is the ratio within a round, and of the ratios the median. Needs root, Postfix, clamav-milter, clamd and gcc."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import templates
from bench.postfix import Postfix
from tests.support import components
from tests.support.clamd import Clamd
from tests.support.gateway import Gateway, short_folder
from tests.support.smtp import Address

SIZES = {"4 KiB": 4 << 10, "100 KiB": 100 << 10, "5 MiB": 5 << 20}
MESSAGES = {"4 KiB": 1200, "100 KiB": 500, "5 MiB": 24}
NEEDED = ("clamd", "postfix", "gcc", "root")
RECIPIENT = "bob@acme.example"
MEMORY = "/dev/shm"  # a tmpfs on every Linux
PATIENCE = 120.0  # seconds until the last message has to be in the Maildir


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    address: Address
    maildir: Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: messages a second until delivered, and the median latency of a transaction in milliseconds."""

    per_second: float
    median_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Load:
    """How smtpload is called."""

    program: Path
    sessions: int
    per_connection: int

    def run(self, target: Target, template: Path, messages: int) -> Sample:
        """SystemExit where not every message was accepted and delivered: a figure for less would mean nothing."""
        new = target.maildir / "new"
        _empty(new)
        host, port = target.address
        counts = [str(number) for number in (messages, self.sessions, self.per_connection)]
        began = time.monotonic()
        done = subprocess.run(
            [str(self.program), host, str(port), str(template), *counts, RECIPIENT],
            capture_output=True,
            text=True,
            check=True,
        )
        said = json.loads(done.stdout)
        if said["failed"]:
            sys.exit(f"{target.name}: {said['failed']} of {messages} failed: {said['first_failure']}")
        while (there := _count(new)) < messages:
            if time.monotonic() - began > PATIENCE:
                sys.exit(f"{target.name}: {there} of {messages} were delivered within {PATIENCE:.0f} s")
            time.sleep(0.005)
        seconds = time.monotonic() - began
        return Sample(messages / seconds, said["median_ms"], said["p99_ms"])


def _count(folder: Path) -> int:
    return len(os.listdir(folder)) if folder.exists() else 0  # noqa: PTH208  # a path object for each costs too much


def _empty(folder: Path) -> None:
    """Moves away what a round delivered. Were it deleted, the next round would measure that too: ext4 looks through
    all inodes that were deleted within the last minutes whenever it makes one."""
    if not folder.exists():
        return
    measured = folder.with_name("measured")
    measured.mkdir(exist_ok=True)
    for path in folder.iterdir():
        os.truncate(path, 0)
        path.rename(measured / path.name)


@contextmanager
def _targets(work: Path, only: str) -> Iterator[list[Target]]:
    """The gateway and Postfix, both running, with one clamd."""
    with ExitStack() as stack:
        # as docs/operations.md has it: clamd makes and removes three folders for each message
        memory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mg-bench-", dir=MEMORY))
        clamd = Clamd(_folder(work / "clamd"), Path(memory))
        clamd.start()
        stack.callback(clamd.stop)
        targets = []
        if only in ("", "mailgate"):
            gateway = Gateway(_folder(work / "gateway"), clamd.endpoint)
            del gateway.environment["MAILGATE_INSPECTORS"]
            gateway.add_people()
            gateway.start()
            stack.callback(gateway.stop)
            targets.append(Target("mailgate", gateway.mx, gateway.maildir(RECIPIENT)))
        if only in ("", "postfix"):
            postfix = Postfix(_folder(work / "postfix"), clamd.endpoint)
            postfix.start()
            stack.callback(postfix.stop)
            targets.append(Target("postfix", postfix.address, postfix.maildir))
        yield targets


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o755)
    return path


def _compile(work: Path) -> Path:
    program = work / "smtpload"
    source = Path(__file__).with_name("smtpload.c")
    subprocess.run(["gcc", "-O2", "-pthread", "-o", str(program), str(source)], check=True)
    return program


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="alternated rounds for each size (5)")
    parser.add_argument("--sizes", default=",".join(SIZES), help="some of: " + ", ".join(SIZES))
    parser.add_argument("--sessions", type=int, default=16, help="connections at a time (16)")
    parser.add_argument("--per-connection", type=int, default=1, help="messages on a connection (1)")
    parser.add_argument("--only", default="", choices=("", "mailgate", "postfix"), help="measure one of the two")
    return parser.parse_args()


def _measure(targets: list[Target], load: Load, template: Path, messages: int, rounds: int) -> dict[str, list[Sample]]:
    for target in targets:
        load.run(target, template, max(messages // 5, 8))  # warms caches, starts Postfix's processes
    samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
    for number in range(rounds):
        for target in targets if number % 2 == 0 else reversed(targets):
            samples[target.name].append(load.run(target, template, messages))
    return samples


def _print_row(size: str, samples: dict[str, list[Sample]]) -> None:
    for name, rounds in samples.items():
        rates = [sample.per_second for sample in rounds]
        median = statistics.median(rates)
        delay = statistics.median(sample.median_ms for sample in rounds)
        tail = statistics.median(sample.p99_ms for sample in rounds)
        print(
            f"{size:>8}  {name:<9} {median:9.1f} msg/s  (rounds {min(rates):.1f} to {max(rates):.1f})  "
            f"median {delay:.1f} ms, p99 {tail:.1f} ms"
        )
    if len(samples) == 2:
        pairs = zip(samples["mailgate"], samples["postfix"], strict=True)
        ratios = [ours.per_second / theirs.per_second for ours, theirs in pairs]
        spread = f"(rounds {min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{size:>8}  ratio     {statistics.median(ratios):9.2f}        {spread}")


def main() -> None:
    options = _arguments()
    reasons = [reason for reason in map(components.missing, NEEDED) if reason]
    if reasons:
        sys.exit("\n".join(reasons))
    chosen = [name.strip() for name in options.sizes.split(",")]
    unknown = set(chosen) - set(SIZES)
    if unknown:
        sys.exit(f"unknown sizes {', '.join(sorted(unknown))}: choose from {', '.join(SIZES)}")
    work = short_folder("mg-bench-")
    try:
        load = Load(_compile(work), options.sessions, options.per_connection)
        paths = templates.write(work, {name: SIZES[name] for name in chosen})
        with _targets(work, options.only) as targets:
            for name in chosen:
                _print_row(name, _measure(targets, load, paths[name], MESSAGES[name], options.rounds))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
