"""SMTP dialogues as readable files: what the client sends, what the server must answer.

    # a comment; blank lines mean nothing
    @ submission          the listener: mx (default), submission, submissions
    C: EHLO client.example
    C> no line end {name}\\x00   bytes as they are, with the escapes of a Python string
    S: 250                a whole reply whose code is 250; `4yz` any of that class
    S: 250 2.1.0          the code, and the first line starts with what follows
    S~ STARTTLS           the reply above has a line that starts with this
    S! AUTH               the reply above has no such line
    S: closed             the server has closed
    TLS                   the handshake after STARTTLS

Several C lines in a row are sent in one piece, so that pipelining reads as it is written. `{name}` is replaced from the
values given to `run`; `{rep:TEXT*N}` repeats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.smtp import CLOSED, Address, Answer, SmtpClient


@dataclass(frozen=True, slots=True)
class Step:
    """`kind` is one of `C C> S S~ S! TLS`; `number` the line in the file."""

    number: int
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    name: str
    listener: str
    steps: tuple[Step, ...]


def parse(text: str, name: str) -> Transcript:
    """ValueError with the line number where a line is none of the forms above."""
    listener, steps = "mx", []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.match(r"(@|C:|C>|S:|S~|S!|TLS)(?: (.*))?$", line)
        if match is None:
            raise ValueError(f"{name}:{number}: {line!r} is no line of a transcript")
        mark, rest = match[1], match[2] or ""
        if mark == "@":
            listener = rest.strip()
        elif mark == "C:":
            steps.append(Step(number, "C", rest + "\r\n"))
        elif mark == "C>":
            steps.append(Step(number, "C>", rest.encode("latin-1", "backslashreplace").decode("unicode_escape")))
        else:
            steps.append(Step(number, mark.rstrip(":"), rest.strip()))
    return Transcript(name, listener, tuple(steps))


def load(folder: Path) -> list[Transcript]:
    return [parse(path.read_text(), path.stem) for path in sorted(folder.glob("*.transcript"))]


def _filled(text: str, values: Mapping[str, str]) -> str:
    text = re.sub(r"\{rep:(.*?)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], text)


def _agrees(answer: Answer, wanted: str) -> bool:
    code, _, start = wanted.partition(" ")
    if code == "closed":
        return answer == CLOSED
    pattern = code.replace("y", r"\d").replace("z", r"\d")
    return re.fullmatch(pattern, str(answer.code)) is not None and answer.text.startswith(start)


def _has(answer: Answer, start: str) -> bool:
    return any(line.startswith(start) for line in answer.lines)


def run(transcript: Transcript, listeners: Mapping[str, Address], values: Mapping[str, str]) -> None:
    """AssertionError with file, line and what came where the server answers otherwise."""
    tls = transcript.listener == "submissions"
    pending, answer = b"", CLOSED
    with SmtpClient(listeners[transcript.listener], tls=tls) as client:
        for step in transcript.steps:
            text = _filled(step.text, values)
            where = f"{transcript.name}:{step.number}: wanted {step.kind} {text}"
            if step.kind in ("C", "C>"):
                pending += text.encode("utf-8" if step.kind == "C" else "latin-1")
                continue
            if pending:
                client.send(pending)
                pending = b""
            if step.kind == "TLS":
                client.handshake()
            elif step.kind == "S":
                answer = client.answer()
                assert _agrees(answer, text), f"{where}, got {answer}"
            else:
                assert _has(answer, text) == (step.kind == "S~"), f"{where}, got {answer}"
