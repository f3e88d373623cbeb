"""Reads what `strace -f -y` wrote: the system calls of several processes in the order in which they began and ended."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

_LINE = re.compile(r"^(?P<pid>\d+) +(?:\d+\.\d+ +)?(?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$", re.S)
_CALL = re.compile(r"^(?P<name>\w+)\((?P<rest>.*)$", re.S)
_UNFINISHED = " <unfinished ...>"
_RESULT = re.compile(r"\) += (?P<result>-?\d+|\?|0x[0-9a-f]+)(?P<note>[^\"]*)$")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. `began` and `ended` are line numbers of the trace: a call that ended before another began has
    happened before it. `result` is what it returned (-1: failed); `target` the path that -y shows for a returned
    descriptor. A call that never ended has `ended` None."""

    pid: int
    name: str
    arguments: str
    began: int
    ended: int | None = None
    result: int | None = None
    target: str = ""

    @property
    def path(self) -> str:
        """The file behind the first descriptor (`7</var/x>`), or empty."""
        match = re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>", self.arguments)
        return match[1] if match else ""

    @property
    def strings(self) -> tuple[str, ...]:
        return tuple(re.findall(r'"((?:[^"\\]|\\.)*)"', self.arguments))

    @property
    def succeeded(self) -> bool:
        return self.ended is not None and self.result is not None and self.result >= 0


def _finished(call: Call, number: int) -> Call:
    match = _RESULT.search(call.arguments)
    if match is None:
        return replace(call, ended=number)
    result = int(match["result"], 0) if match["result"] != "?" else None
    shown = re.match(r"<([^>]*)>", match["note"])
    arguments = call.arguments[: match.start()]
    return replace(call, arguments=arguments, ended=number, result=result, target=shown[1] if shown else "")


def parse(lines: Iterable[str]) -> list[Call]:
    """Calls in the order in which they began; lines about signals and exits are passed over."""
    calls: list[Call] = []
    unfinished: dict[int, int] = {}
    for number, line in enumerate(lines):
        found = _LINE.match(line.rstrip("\n"))
        if found is None:
            continue
        pid, rest = int(found["pid"]), found["rest"]
        if resumed := _RESUMED.match(rest):
            at = unfinished.pop(pid, None)
            if at is not None:
                begun = calls[at]
                calls[at] = _finished(replace(begun, arguments=begun.arguments + resumed["rest"]), number)
        elif call := _CALL.match(rest):
            begun = Call(pid, call["name"], call["rest"].removesuffix(_UNFINISHED), number)
            if call["rest"].endswith(_UNFINISHED):
                unfinished[pid] = len(calls)
                calls.append(begun)
            else:
                calls.append(_finished(begun, number))
    return calls
