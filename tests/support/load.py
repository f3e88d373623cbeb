"""Mail of mixed sizes from several clients at once, which remember what the gateway answered 250 to."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support import messages
from tests.support.clock import eventually
from tests.support.smtp import SmtpClient

SIZES = (1_500, 4_000, 30_000, 80_000, 300_000, 1_500_000)
WEIGHTS = (30, 30, 15, 15, 8, 2)


@dataclass(slots=True)
class Load:
    """Runs `clients` threads from `with` on, each on connections that `connect` makes ready for MAIL. `accepted` maps
    each token that was answered 250 to its queue id.

    `uncertain` holds those whose sender must try again: no answer came, or 4yz (the gateway may have kept the message
    just before the process that knew it was killed). `replies` counts all answers but 250."""

    connect: Callable[[], SmtpClient]
    sender: str
    recipients: tuple[str, ...]
    seed: int
    clients: int = 4
    accepted: dict[str, str] = field(default_factory=dict)
    uncertain: set[str] = field(default_factory=set)
    replies: Counter[str] = field(default_factory=Counter)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        for number in range(self.clients):
            thread = threading.Thread(target=self._run, args=(random.Random(self.seed * 1000 + number),))
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Until `more` further messages were accepted."""
        wanted = len(self.accepted) + more
        eventually(lambda: len(self.accepted) >= wanted, f"{more} more messages to be accepted")

    def _run(self, rng: random.Random) -> None:
        while not self._stop.is_set():
            try:
                with self.connect() as client:
                    for _ in range(rng.randrange(1, 8)):
                        self._send(client, rng)
            except (OSError, AssertionError):
                self._pause()

    def _pause(self) -> None:
        """What is dead starts again the sooner, the less of the processor its clients take."""
        self._stop.wait(0.05)

    def _send(self, client: SmtpClient, rng: random.Random) -> None:
        name = messages.token()
        (size,) = rng.choices(SIZES, WEIGHTS)
        message = messages.written_by(self.sender, messages.of_size(name, size, rng.randrange(1 << 30)))
        self.uncertain.add(name)
        answer = client.attempt(self.sender, rng.choice(self.recipients), message)
        if answer.code == 250:
            self.accepted[name] = answer.queue_id
        if answer.code == 250 or answer.code >= 500:
            self.uncertain.discard(name)
        if answer.code != 250:
            self.replies[f"{answer.code} {answer.enhanced}"] += 1
            client.command("RSET", 250)
            self._pause()
