"""Sessions that wait for the next message to the same host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mailgate.relay.opening import Target
from mailgate.relay.smtp_session import SmtpSession

IDLE_SECONDS = 10.0
MOST_TRANSACTIONS = 1_000
MOST_IDLE = 500

Key = tuple[str, int, str, str, bool, bool, bool]


def key_of(target: Target) -> Key:
    """Sessions are shared by all that would have been opened in the same way: across domains, not across demands."""
    username = target.login.username if target.login is not None else ""
    has_dane, has_webpki = target.dane is not None, bool(target.webpki)
    return (target.host, target.port, target.source, username, has_dane, has_webpki, target.is_lmtp)


class SessionPool:
    """`clock` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._idle: dict[Key, list[SmtpSession]] = {}
        self._count = 0
        self._goodbyes: set[asyncio.Task[None]] = set()

    def take(self, target: Target) -> SmtpSession | None:
        """One that is as private as `target` asks for, the latest used first."""
        sessions = self._idle.get(key_of(target))
        while sessions:
            session = sessions.pop()
            self._count -= 1
            if session.is_usable and session.facts.level >= target.floor.level:
                return session
            self.dismiss(session)
        return None

    def give(self, target: Target, session: SmtpSession) -> None:
        """Back after a transaction; closed where it is of no more use."""
        if not session.is_usable or session.transactions >= MOST_TRANSACTIONS or self._count >= MOST_IDLE:
            self.dismiss(session)
            return
        session.idle_since = self._clock()
        self._idle.setdefault(key_of(target), []).append(session)
        self._count += 1

    def dismiss(self, session: SmtpSession) -> None:
        """QUIT in the background."""
        if not session.is_usable:
            session.close()
            return
        task = asyncio.ensure_future(session.quit())
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    def sweep(self) -> None:
        """Closes what nobody has used for IDLE_SECONDS."""
        oldest = self._clock() - IDLE_SECONDS
        for key, sessions in list(self._idle.items()):
            kept = [session for session in sessions if session.is_usable and session.idle_since > oldest]
            for session in sessions:
                if session not in kept:
                    self._count -= 1
                    self.dismiss(session)
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]

    async def close(self) -> None:
        for sessions in self._idle.values():
            for session in sessions:
                self.dismiss(session)
        self._idle.clear()
        self._count = 0
        if self._goodbyes:
            await asyncio.wait(self._goodbyes)
