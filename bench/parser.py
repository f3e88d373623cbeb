"""Speed of the MIME parser beside Python's email package: a 20 MiB message with one base64 attachment, one process.

Usage: python -m bench.parser [--mib 20] [--runs 5]
"""

from __future__ import annotations

import argparse
import email
import email.policy
import random
import time
from collections.abc import Callable

import pybase64

from mailgate.inspect.mime import views

MIB = 1 << 20


def message(size: int) -> bytes:
    """A multipart/mixed of a short text and one base64 attachment, about `size` bytes in all."""
    content = random.Random(1).randbytes(size * 57 // 78)
    letters = pybase64.b64encode(content)
    lines = b"\r\n".join(letters[start : start + 76] for start in range(0, len(letters), 76))
    head = (
        b"Received: from client.example by mx.example; Mon, 01 Jan 2024 10:10:10 +0000\r\n"
        b"From: a@client.example\r\nTo: b@mx.example\r\nSubject: report\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed;\r\n boundary="----=_Part_0001"\r\n\r\n'
        b"------=_Part_0001\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee the attachment.\r\n"
        b'------=_Part_0001\r\nContent-Type: application/octet-stream; name="report.bin"\r\n'
        b'Content-Disposition: attachment; filename="report.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    return head + lines + b"\r\n------=_Part_0001--\r\n"


def best(work: Callable[[], object], runs: int) -> float:
    """Seconds of the fastest of `runs` runs."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def with_email_package(raw: bytes) -> int:
    parsed = email.message_from_bytes(raw, policy=email.policy.compat32)
    return sum(len(part.get_payload(decode=True) or b"") for part in parsed.walk() if not part.is_multipart())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    raw = message(arguments.mib * MIB)
    ours = best(lambda: views(raw), arguments.runs)
    theirs = best(lambda: with_email_package(raw), max(1, arguments.runs // 2))
    megabytes = len(raw) / 1e6
    print(f"message             {len(raw) / MIB:8.1f} MiB, one base64 attachment")
    print(f"mailgate.inspect    {megabytes / ours:8.0f} MB/s  {ours * 1e3:8.1f} ms")
    print(f"email (compat32)    {megabytes / theirs:8.0f} MB/s  {theirs * 1e3:8.1f} ms")
    print(f"ratio               {theirs / ours:8.1f} x")


if __name__ == "__main__":
    main()
