"""Local delivery: leased recipients into their mailboxes, in groups, as named steps. What was committed a moment ago
comes with its bytes and is not read again."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mailgate.ipc.frames import StorageFullError
from mailgate.model.envelope import MailboxId
from mailgate.model.errors import DamagedError, MailgateError
from mailgate.model.outcome import Outcome, State
from mailgate.records.metrics import OUTCOMES
from mailgate.spool.content import NO_SPACE, ContentFolder
from mailgate.spool.damage import DAMAGED
from mailgate.spool.queue import Attempt, Finished, Recorded, SpoolStore
from mailgate.store.delivery import maildir
from mailgate.store.keeping.reading import note_damage
from mailgate.store.keeping.writer import Job, Writer

GROUP = 256
LINGER_SECONDS = 0.01
MOST_BYTES = 64 << 20
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0  # seconds between tries to record outcomes
DELIVERED = Outcome(State.DELIVERED, "delivered to the mailbox")

Deliver = Callable[[Sequence[maildir.Letter]], Sequence[Exception | None]]
"""For each letter None once it is on stable storage in the mailbox, or why it is not."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Task:
    """One attempt on its way through the steps: `folder` is found by `route`, `trouble` set by the step that failed,
    `outcome` by `classify`."""

    attempt: Attempt
    folder: str = ""
    trouble: Exception | None = None
    outcome: Outcome = DELIVERED


class Delivery:
    """One thread. `maildir_of` gives the folder of a mailbox (called in that thread); `on_deferred` is told, in the
    writer's thread, when the earliest new deferral is due; `on_owed`, there too, that a sender is to be told something.
    `deliver`: into Maildirs, or through an LMTP server.
    """

    def __init__(
        self,
        writer: Writer,
        contents: ContentFolder,
        maildir_of: Callable[[MailboxId], Path],
        clock: Callable[[], float],
        on_deferred: Callable[[float], None],
        on_owed: Callable[[], None],
        deliver: Deliver = maildir.deliver,
    ) -> None:
        self._writer = writer
        self._contents = contents
        self._maildir_of = maildir_of
        self._clock = clock
        self._on_deferred = on_deferred
        self._on_owed = on_owed
        self._deliver_letters = deliver
        self._folders: dict[MailboxId, str] = {}
        self._waiting: queue.SimpleQueue[list[Attempt] | None] = queue.SimpleQueue()
        self._unrecorded: set[Callable[[SpoolStore], Recorded]] = set()
        self._bytes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once everything submitted before has been tried and handed to the writer."""
        self._waiting.put(None)
        self._thread.join()

    def submit(self, attempts: list[Attempt]) -> None:
        self._count(sum(_held_bytes(attempt) for attempt in attempts))
        self._waiting.put(attempts)

    @property
    def has_room(self) -> bool:
        """False where so much waits in memory that more had better wait in the spool, or where outcomes wait for room
        on the disk."""
        return self._bytes < MOST_BYTES and not self._unrecorded

    def _count(self, size: int) -> None:
        with self._lock:
            self._bytes += size

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._gather()
            for start in range(0, len(group), GROUP):
                attempts = group[start : start + GROUP]
                try:
                    self._deliver(attempts)
                except Exception:
                    _log.exception("a group of deliveries was given up; its leases run out")
                finally:
                    self._count(-sum(_held_bytes(attempt) for attempt in attempts))

    def _gather(self) -> tuple[list[Attempt], bool]:
        """What comes within LINGER_SECONDS of the first: nobody waits for these syncs, and each spares many others."""
        group: list[Attempt] = []
        attempts = self._waiting.get()
        end = time.monotonic() + LINGER_SECONDS
        try:
            while attempts is not None:
                group += attempts
                if len(group) >= GROUP:
                    return group, False
                attempts = self._waiting.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            return group, False
        return group, True

    def _deliver(self, attempts: Sequence[Attempt]) -> None:
        tasks = [Task(attempt) for attempt in attempts]
        for step in (self.route, self.verify, self.attempt, self.classify, self.record):
            step(tasks)

    def route(self, tasks: Sequence[Task]) -> None:
        """The folder of each mailbox."""
        for task in tasks:
            mailbox = task.attempt.mailbox
            try:
                task.folder = self._folders.get(mailbox) or self._folder(mailbox)
            except (MailgateError, OSError) as error:
                task.trouble = error

    def _folder(self, mailbox: MailboxId) -> str:
        return self._folders.setdefault(mailbox, str(self._maildir_of(mailbox)))

    def verify(self, tasks: Sequence[Task]) -> None:
        """The content of each message is what was accepted: nothing else is delivered."""
        found: dict[int, DamagedError | None] = {}
        for task in tasks:
            attempt = task.attempt
            if attempt.message not in found:
                found[attempt.message] = self._damage(attempt)
            task.trouble = found[attempt.message] or task.trouble

    def _damage(self, attempt: Attempt) -> DamagedError | None:
        try:
            self._contents.check(attempt.queue_id, attempt.content)
        except DamagedError as error:
            return error
        return None

    def attempt(self, tasks: Sequence[Task]) -> None:
        """The files, synced. Two recipients of one message with one mailbox share one file."""
        tasks = [task for task in tasks if task.trouble is None]
        letters: dict[tuple[str, str], maildir.Letter] = {}
        for task in tasks:
            letter = self._letter(task.attempt, task.folder)
            letters[letter.folder, letter.name] = letter
        results: dict[tuple[str, str], Exception | None]
        try:
            results = dict(zip(letters, self._deliver_letters(list(letters.values())), strict=True))
        except Exception as error:
            _log.exception("a group of deliveries failed")
            results = dict.fromkeys(letters, error)
        for task in tasks:
            task.trouble = results[task.folder, _name(task.attempt)]

    def _letter(self, attempt: Attempt, folder: str) -> maildir.Letter:
        inline = attempt.content.inline
        content = self._contents.path(attempt.queue_id, attempt.content) if inline is None else inline
        return maildir.Letter(folder, _name(attempt), content, attempt.number > 1)

    def classify(self, tasks: Sequence[Task]) -> None:
        """All that hinders a local delivery may pass: it is tried again until the time is up."""
        for task in tasks:
            if task.trouble is None:
                continue
            if isinstance(task.trouble, DamagedError):
                task.outcome = Outcome(State.HELD, f"{DAMAGED}{task.trouble}", 0, "4.3.0")
                continue
            _log.warning("%s not delivered to %s: %s", task.attempt.queue_id, task.attempt.mailbox, task.trouble)
            self._folders.pop(task.attempt.mailbox, None)
            if isinstance(task.trouble, OSError) and task.trouble.errno in NO_SPACE:
                task.outcome = Outcome(State.QUEUED, "no room on the mailbox's file system", 452, "4.3.1")
            else:
                task.outcome = Outcome(State.QUEUED, f"mailbox not usable: {_words(task.trouble)}", 450, "4.2.0")

    def record(self, tasks: Sequence[Task]) -> None:
        """The outcomes go with the next commit. No sync of their own: after a crash the delivery is made again, and
        meets its file."""
        finished = [Finished(_without_bytes(task.attempt), task.outcome) for task in tasks]
        now = self._clock()

        damage = {
            (task.attempt.queue_id, task.attempt.message): str(task.trouble)
            for task in tasks
            if isinstance(task.trouble, DamagedError)
        }

        def apply(spool: SpoolStore) -> Recorded:
            for (queue_id, message), what in damage.items():
                note_damage(spool, queue_id, message, now, what)
            return spool.record(finished, now)

        self._write_down(apply, FIRST_WAIT)
        for state, number in Counter(task.outcome.state for task in tasks).items():
            OUTCOMES.labels(state).inc(number)

    def _write_down(self, apply: Callable[[SpoolStore], Recorded], wait: float) -> None:
        """Tried again every `wait` seconds, and less and less often, while the disk is full. Nothing new is begun then:
        what is delivered and not on record would be delivered a second time."""

        def then(recorded: Recorded | None, error: Exception | None) -> None:
            self._unrecorded.discard(apply)
            if recorded is None and isinstance(error, StorageFullError):
                _log.error("outcomes of deliveries can't be recorded, nothing new is delivered meanwhile: %s", error)
                self._unrecorded.add(apply)
                again = threading.Timer(wait, self._write_down, (apply, min(2 * wait, LONGEST_WAIT)))
                again.daemon = True
                again.start()
            elif recorded is None:
                _log.error("outcomes could not be recorded, their leases run out: %s", error)
            elif recorded.next_due is not None:
                self._on_deferred(recorded.next_due)

        self._writer.submit(Job(apply, durable=False, then=then, synced=self.clear))

    def clear(self, recorded: Recorded) -> None:
        """Content files go only once it is on stable storage that nobody needs them; and only then senders are told."""
        if recorded.owes:
            self._on_owed()
        for queue_id, content in recorded.freed:
            self._contents.remove(queue_id, content)


def _name(attempt: Attempt) -> str:
    return maildir.file_name(attempt.queue_id, attempt.content.size)


def _without_bytes(attempt: Attempt) -> Attempt:
    """For the record, which may have to wait."""
    return attempt if attempt.content.in_file else replace(attempt, content=replace(attempt.content, inline=b""))


def _held_bytes(attempt: Attempt) -> int:
    return len(attempt.content.inline or b"")


def _words(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
