"""The published policy: read from the policy folder, the last good one kept, each version kept in the spool."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from mailgate.model.errors import UserError
from mailgate.policy import loader
from mailgate.policy.snapshot import Snapshot, SnapshotError
from mailgate.records.metrics import POLICY_REFUSED, POLICY_RELOADS
from mailgate.settings import Settings
from mailgate.spool import durable

_log = logging.getLogger(__name__)


def last_good_file(data_dir: Path) -> Path:
    return data_dir / "policy" / "last-good.json"


def read_last_good(file: Path) -> Snapshot | None:
    """None where there is none yet; UserError where it can't be used."""
    try:
        return Snapshot.decode(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{file}: the last good policies can't be read: {error.strerror}") from error
    except SnapshotError as error:
        raise UserError(
            f"{file}: the last good policies can't be used by this release ({error}); correct the policies themselves"
        ) from error


def check_start(settings: Settings) -> None:
    """Can a store start with the policies of the folder, or with the last good ones? UserError with every problem where
    it can't."""
    try:
        loader.load(settings.policy_dir, settings.message_size_limit)
    except UserError as error:
        try:
            last = read_last_good(last_good_file(settings.data_dir))
        except UserError as other:
            raise UserError(f"{error}\n{other}") from None
        if last is None:
            raise


class Policies:
    """`current` is never a bad one. `publish(version, encoded)` keeps a version for later explanations; `changed` is
    called with what was read again, in the thread that read it. `refused`: what is wrong with the folder's, where they
    are not those in force."""

    def __init__(
        self,
        settings: Settings,
        publish: Callable[[str, bytes], None],
        changed: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> None:
        self._folder = settings.policy_dir
        self._size_limit = settings.message_size_limit
        self._last_good = last_good_file(settings.data_dir)
        self.refused = ""
        self._publish = publish
        self._changed = changed
        self.current = self._first()

    def _first(self) -> Snapshot:
        """The folder's, else the last good one; UserError with every problem where there is neither."""
        try:
            return self._take_over(self._load())
        except UserError as error:
            last = read_last_good(self._last_good)
            if last is None:
                raise
            self._refuse(error)
            _log.error("the policies are wrong, the last good version %s stays in force:\n%s", last.version, error)
            return self._take_over(last)

    def reload(self) -> Snapshot:
        """Blocking. Publishes the folder's policies; UserError with every problem where they are wrong: then nothing
        changes."""
        try:
            found = self._load()
        except UserError as error:
            self._refuse(error)
            raise
        self.current = self._take_over(found)
        self.refused = ""
        POLICY_REFUSED.set(0)
        POLICY_RELOADS.labels("published").inc()
        self._changed(self.current)
        return self.current

    def reload_or_log(self) -> None:
        """The same, where nobody waits for the answer."""
        try:
            self.reload()
        except UserError as error:
            _log.error("the policies are wrong, version %s stays in force:\n%s", self.current.version, error)

    def _refuse(self, error: UserError) -> None:
        self.refused = str(error)
        POLICY_REFUSED.set(1)
        POLICY_RELOADS.labels("refused").inc()

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
