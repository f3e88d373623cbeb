"""The TLS results of each day, kept in a file, so that a restart loses no more than the last minutes."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path

from mailgate.transport.tlsrpt import AppliedPolicy, DayCount, FailureDetail


class ReportStore:
    """`folder` is made where it is missing; `clock` in seconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._today = self._load(self._date())
        self._is_changed = False

    def add(self, policy: AppliedPolicy, failure: FailureDetail | None) -> None:
        """One session of today (UTC)."""
        if self._date() != self._today.day:
            self.save()
            self._today = DayCount(self._date())
        self._today.add(policy, failure)
        self._is_changed = True

    def save(self) -> None:
        """Not synced: a report is no promise."""
        if not self._is_changed:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(self._today.day)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self._today.dump()))
        fresh.replace(path)
        self._is_changed = False

    def finished(self) -> list[DayCount]:
        """The days before today that have not been reported yet, oldest first."""
        days = (datetime.date.fromisoformat(path.stem) for path in self._folder.glob("????-??-??.json"))
        return [self._load(day) for day in sorted(days) if day < self._date()]

    def remove(self, day: datetime.date) -> None:
        """Its reports have been sent, or can't be any more."""
        self._path(day).unlink(missing_ok=True)

    def _date(self) -> datetime.date:
        return datetime.datetime.fromtimestamp(self._clock(), datetime.UTC).date()

    def _path(self, day: datetime.date) -> Path:
        return self._folder / f"{day}.json"

    def _load(self, day: datetime.date) -> DayCount:
        """Empty where there is no readable file."""
        try:
            return DayCount.load(day, json.loads(self._path(day).read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return DayCount(day)
