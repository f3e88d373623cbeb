"""Who is refused before the end of a message: a line in the log, and a record that the store keeps for a while. Told
after the reply, in batches, so that no reply waits for it; bounded by network, so that a flood fills neither."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from mailgate.edge.shedding import LinesAMinute
from mailgate.model.errors import MailgateError
from mailgate.model.turned_away import TurnedAway
from mailgate.records import log

OF_NETWORK = 20  # within a minute (see LinesAMinute)
OF_ALL = 1000
MOST_WAITING = 2000  # for the store, should it be away; the newest are dropped
MOST_PATHS = 10  # of one message
BATCH_SECONDS = 1.0
LONGEST = 320  # characters of a path or name that are kept

_logger = log.get(__name__)

Keep = Callable[[tuple[TurnedAway, ...]], Awaitable[None]]


class TurningAway:
    """Lives in the event loop. `keep` hands a batch to the store; `clock` in seconds, monotonic."""

    def __init__(self, keep: Keep, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep = keep
        self._lines: LinesAMinute[str] = LinesAMinute(OF_NETWORK, OF_ALL, _again, _left_out, clock)
        self._waiting: list[TurnedAway] = []
        self._is_due = asyncio.Event()

    def tell(self, away: TurnedAway, has_line: bool = False) -> None:
        """`has_line`: the log has one already."""
        if not self._lines.allow(away.network):
            return
        if not has_line:
            _logger.info("turned away", **_facts(away))
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(away)
            self._is_due.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._is_due.wait()
            await asyncio.sleep(BATCH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Hands over what waits; while the store is away it goes on waiting."""
        batch, self._waiting = self._waiting, []
        self._is_due.clear()
        if not batch:
            return
        try:
            await self._keep(tuple(batch))
        except MailgateError:
            self._waiting = (batch + self._waiting)[:MOST_WAITING]
            self._is_due.set()


def printable(text: str | bytes) -> str:
    """What a stranger gave, of a length that is kept, with everything that can't be printed as an escape."""
    if isinstance(text, bytes):
        text = text[: 4 * LONGEST].decode("utf-8", "backslashreplace")
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def path_in(argument: bytes) -> str:
    """The path in the argument of a MAIL or RCPT that may be no valid one; `<>` for the null path."""
    text = argument.partition(b":")[2].strip()
    if text.startswith(b"<"):
        text = text[1:].partition(b">")[0]
        return printable(text) or "<>"
    return printable(text.partition(b" ")[0])


def _facts(away: TurnedAway) -> dict[str, object]:
    told = {
        "client": away.client,
        "helo": away.helo,
        "listener": away.listener,
        "tls": away.tls,
        "command": away.command,
        "sender": away.sender,
        "recipient": ", ".join(away.recipients),
        "reply": away.reply,
        "reason": away.reason,
    }
    return {name: value for name, value in told.items() if value or name == "client"}


def _again(network: str, times: int) -> None:
    _logger.info("turned away again", network=network, times=times)


def _left_out(times: int) -> None:
    _logger.info("turned away, networks left out", times=times)
