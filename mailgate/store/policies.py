"""The published policy: read from the policy folder, the last good one kept, each version kept in the spool."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from mailgate.model.errors import UserError
from mailgate.policy import loader
from mailgate.policy.snapshot import Snapshot, SnapshotError
from mailgate.records.metrics import POLICY_RELOADS
from mailgate.settings import Settings
from mailgate.spool import durable

_log = logging.getLogger(__name__)


class Policies:
    """`current` is never a bad one. `publish(version, encoded)` keeps a version for later explanations; `changed` is
    called with what was read again, in the thread that read it."""

    def __init__(
        self,
        settings: Settings,
        publish: Callable[[str, bytes], None],
        changed: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> None:
        self._folder = settings.policy_dir
        self._size_limit = settings.message_size_limit
        self._last_good = settings.data_dir / "policy" / "last-good.json"
        self._publish = publish
        self._changed = changed
        self.current = self._first()

    def _first(self) -> Snapshot:
        """The folder's, else the last good one; UserError with every problem where there is neither."""
        try:
            return self._take_over(self._load())
        except UserError as error:
            last = self._read_last_good()
            if last is None:
                raise
            POLICY_RELOADS.labels("refused").inc()
            _log.error("the policies are wrong, the last good version %s stays in force:\n%s", last.version, error)
            return self._take_over(last)

    def reload(self) -> Snapshot:
        """Blocking. Publishes the folder's policies; UserError with every problem where they are wrong: then nothing
        changes."""
        try:
            found = self._load()
        except UserError:
            POLICY_RELOADS.labels("refused").inc()
            raise
        self.current = self._take_over(found)
        POLICY_RELOADS.labels("published").inc()
        self._changed(self.current)
        return self.current

    def reload_or_log(self) -> None:
        """The same, where nobody waits for the answer."""
        try:
            self.reload()
        except UserError as error:
            _log.error("the policies are wrong, version %s stays in force:\n%s", self.current.version, error)

    def _load(self) -> Snapshot:
        return loader.load(self._folder, self._size_limit)

    def _take_over(self, snapshot: Snapshot) -> Snapshot:
        encoded = snapshot.encode()
        self._publish(snapshot.version, encoded)
        self._last_good.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._last_good.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(encoded)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._last_good)
        durable.sync_folder(self._last_good.parent)
        _log.info("policy version %s is in force", snapshot.version)
        return snapshot

    def _read_last_good(self) -> Snapshot | None:
        try:
            return Snapshot.decode(self._last_good.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, SnapshotError) as error:
            _log.error("%s can't be read: %s", self._last_good, error)
            return None
