"""How others are served while one network attacks in all ways at once (tests/support/attacks.py).

    python -m bench.attacked [--seconds N]

Two samples, quiet and attacked: seconds to the greeting of MX, for a message on MX and for one by submission, from
other networks than the attackers', who run in a process of their own. Needs clamd."""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event

from tests.support import messages
from tests.support.attacks import BOMB, SPF_BOMB, Attackers, quoted
from tests.support.clamd import Clamd
from tests.support.dns_server import DnsServer
from tests.support.gateway import PASSWORD, Gateway, short_folder
from tests.support.smtp import SmtpClient, submission

BOB = "bob@acme.example"
WARM_UP = 10.0  # seconds until every attack is under way


def attack(gateway: Gateway, stop: Event) -> None:
    with Attackers(gateway):
        stop.wait()


def greeting(gateway: Gateway, number: int) -> None:
    with SmtpClient(gateway.mx, source=f"127.1.0.{number % 50 + 1}") as client:
        client.expect(220)


def receive(gateway: Gateway, number: int) -> None:
    with SmtpClient(gateway.mx, source=f"127.1.1.{number % 50 + 1}") as client:
        client.hello()
        answer = client.transfer("a@sender.example", [BOB], messages.clean(messages.token()))
        assert answer.code == 250, str(answer)


def submit(gateway: Gateway, number: int) -> None:
    with submission(gateway.submission, BOB, PASSWORD, source=f"127.1.2.{number % 50 + 1}") as client:
        message = messages.written_by(BOB, messages.clean(messages.token()))
        answer = client.transfer(BOB, ["alice@acme.example"], message)
        assert answer.code == 250, str(answer)


def sample(gateway: Gateway, name: str, seconds: float) -> None:
    """One line for each step: how often, median, 95 %, longest, and how often it was refused."""
    steps: dict[str, Callable[[Gateway, int], None]] = {"greeting": greeting, "message": receive, "submission": submit}
    took: dict[str, list[float]] = {step: [] for step in steps}
    refused = dict.fromkeys(steps, 0)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        for step, run in steps.items():
            began = time.monotonic()
            try:
                run(gateway, number)
            except (AssertionError, OSError):
                refused[step] += 1
            else:
                took[step].append(time.monotonic() - began)
    for step, times in took.items():
        times.sort()
        figures = (statistics.median(times), times[int(len(times) * 0.95)], times[-1]) if times else (0.0,) * 3
        print(
            f"{name:9} {step:11} {len(times):5} times  median {figures[0]:.3f} s  95 % {figures[1]:.3f} s  "
            f"longest {figures[2]:.3f} s  refused {refused[step]}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each sample")
    seconds = parser.parse_args().seconds
    clamd = Clamd(short_folder("mg-clamd-"))
    clamd.start()
    with DnsServer({(BOMB, "TXT"): [quoted(SPF_BOMB)]}) as dns:
        gateway = Gateway(short_folder("mg-"), clamd.endpoint, RESOLVER=dns.endpoint, INSPECTORS="4")
        gateway.add_people()
        gateway.start()
        context = multiprocessing.get_context("fork")
        stop = context.Event()
        attackers = context.Process(target=attack, args=(gateway, stop), daemon=True)
        try:
            sample(gateway, "quiet", seconds / 3)
            attackers.start()
            time.sleep(WARM_UP)
            sample(gateway, "attacked", seconds)
        finally:
            stop.set()
            if attackers.pid is not None:
                attackers.join(30)
            gateway.stop()
            shutil.rmtree(gateway.root, ignore_errors=True)
            clamd.remove()


if __name__ == "__main__":
    main()
