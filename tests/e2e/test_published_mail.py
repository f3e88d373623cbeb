"""Collections of published messages: ordinary mail arrives unchanged, hidden viruses don't arrive at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support import maildir
from tests.support.components import SHARED
from tests.support.gateway import Gateway

pytestmark = pytest.mark.component("clamd", "shared")

USER = "user@tenant-a.example"
CONFORMANCE = SHARED / "conformance"


def ordinary() -> list[Path]:
    folder = CONFORMANCE / "mime-ordinary"
    return [path for path in sorted(folder.rglob("*")) if path.suffix == ".eml" or path.parent.name in ("cur", "new")]


def for_the_wire(raw: bytes) -> bytes:
    """With CRLF line ends, as SMTP needs them; a CR that stands alone stays."""
    message = re.sub(rb"\r?\n", b"\r\n", raw)
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def is_forbidden_on_the_wire(message: bytes) -> bool:
    """RFC 5321 section 2.3.8: no bare CR; section 4.5.2 and RFC 5322 section 4: no NUL."""
    return b"\0" in message or re.search(rb"\r(?!\n)", message) is not None


def test_ordinary_mail_is_delivered_unchanged(gateway: Gateway) -> None:
    box = gateway.maildir(USER)
    sent: dict[str, tuple[str, bytes]] = {}
    answers: Counter[int] = Counter()
    for number, path in enumerate(ordinary()):
        token, message = f"ordinary{number:05}x", for_the_wire(path.read_bytes())
        name = str(path.relative_to(CONFORMANCE / "mime-ordinary"))
        with gateway.connect() as client:  # one each: what is not allowed on the wire ends its session
            answer = client.attempt(f"{token}@sender.example", USER, message)
        answers[answer.code] += 1
        if is_forbidden_on_the_wire(message):
            assert (answer.code, answer.enhanced) == (554, "5.6.0"), f"{name}: {answer}"
            print(f"not allowed on the wire: {name}")
            continue
        assert answer.code == 250, f"{name}: {answer}"
        sent[token] = name, message
    print(f"ordinary mail: {dict(answers)}")
    assert len(sent) > 100
    for token, (name, message) in sent.items():
        stored = maildir.wait_for(box, f"{token}@sender.example")
        assert maildir.below_trace_headers(stored, message) == message, name


def test_hidden_viruses_are_blocked_and_their_harmless_twins_pass(gateway: Gateway) -> None:
    command = [sys.executable, str(CONFORMANCE / "feed_corpus.py"), gateway.mx[0], str(gateway.mx[1])]
    command += [str(CONFORMANCE / "mime-evasion"), "--rcpt", USER, "--maildir", str(gateway.maildir(USER)), "-v"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=dict(os.environ))
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
