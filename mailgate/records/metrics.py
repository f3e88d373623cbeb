"""Prometheus metrics of every process. docs/operations.md lists them; a test keeps the two in step.

With PROMETHEUS_MULTIPROC_DIR in the environment (the supervisor sets it for the edge and the store) each process counts
in files of its own there, and `exposition(folder)` in the supervisor adds them up. Labels hold no personal data.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from mailgate.model.decision import Action
from mailgate.model.envelope import Direction
from mailgate.model.level import TransportLevel
from mailgate.model.outcome import State
from mailgate.model.verdict import Unscanned, Verdict

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_FAST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

MESSAGES = Counter("mailgate_messages", "Messages decided on, by direction and action.", ["direction", "decision"])
MESSAGE_BYTES = Counter("mailgate_message_bytes", "Bytes of the messages decided on.", ["direction"])
VERDICTS = Counter(
    "mailgate_verdicts",
    "Parts of messages that were inspected, by verdict and reason (empty unless not scanned).",
    ["verdict", "reason"],
)
REPLIES = Counter("mailgate_replies", "SMTP replies that refuse or defer, by code.", ["listener", "code"])
CONNECTIONS = Counter("mailgate_connections", "SMTP connections accepted.", ["listener"])
OPEN_CONNECTIONS = Gauge(
    "mailgate_open_connections", "SMTP connections open now.", ["listener"], multiprocess_mode="livesum"
)
SHED = Counter("mailgate_shed", "Refused or ended because a share was used up, by reason.", ["reason"])
RECIPIENT_CHECKS_REFUSED = Counter(
    "mailgate_recipient_checks_refused", "Questions about recipients for which a tenant's own server refused us."
)
AUTH_FAILURES = Counter("mailgate_auth_failures", "Logins refused, by reason.", ["reason"])
AUTH_HELD_BACK = Counter("mailgate_auth_held_back", "Logins refused unseen, by the limit that they met.", ["limit"])
AUTH_ALERTS = Counter("mailgate_auth_alerts", "Accounts closed to strangers because many networks guessed.")
INSPECTION_SECONDS = Histogram("mailgate_inspection_seconds", "From hand-over to verdicts, one message.", buckets=_FAST)
SCANNER_SECONDS = Histogram("mailgate_scanner_seconds", "Time the scanner took for one message.", buckets=_FAST)
VERDICT_SOURCES = Counter(
    "mailgate_verdict_sources", "Parts inspected, by where the verdict came from: scan or memory.", ["source"]
)
INSPECTOR_DEATHS = Counter("mailgate_inspector_deaths", "Inspectors that died on a message (limit or crash).")
COMMIT_SECONDS = Histogram("mailgate_commit_seconds", "Group commits to stable storage.", buckets=_FAST)
COMMITTED = Counter("mailgate_committed", "Spool entries made durable.")
OUTCOMES = Counter("mailgate_outcomes", "Delivery attempts, by state they led to.", ["state"])
RELAYED_BY_LEVEL = Counter("mailgate_relayed", "Messages taken by a next hop, by transport level.", ["level"])
DAMAGED_TENANTS = Gauge(
    "mailgate_damaged_tenants", "Tenants whose database could not be read.", multiprocess_mode="livesum"
)
DAMAGED_MESSAGES = Counter("mailgate_damaged_messages", "Messages whose kept content was found to be damaged.")
CLOCK_STEPS = Counter("mailgate_clock_steps", "Steps of the wall clock that were noticed.")
CLOCK_IN_DOUBT = Gauge(
    "mailgate_clock_in_doubt",
    "1 while nothing is deleted for its age, since the wall clock may be wrong.",
    multiprocess_mode="livesum",
)
POLICY_REFUSED = Gauge(
    "mailgate_policy_refused",
    "1 while the policy folder is wrong and an earlier version in force.",
    multiprocess_mode="livesum",
)
POLICY_RELOADS = Counter("mailgate_policy_reloads", "Policy reloads, by result (published, refused).", ["result"])


def begin(metric: Counter | Gauge, *labels: Iterable[str]) -> None:
    """Makes it exist at 0 for every combination of these values, so that a rule can tell "nothing yet" from "nobody
    counts", and the first one shows in a rate."""
    for values in itertools.product(*labels):
        metric.labels(*values)


LISTENERS = ("mx", "submission", "submissions")
begin(MESSAGES, Direction, Action)
begin(MESSAGE_BYTES, Direction)
begin(VERDICTS, set(Verdict) - {Verdict.NOT_SCANNED}, ("",))
begin(VERDICTS, (Verdict.NOT_SCANNED,), Unscanned)
begin(VERDICT_SOURCES, ("memory", "scan"))
begin(CONNECTIONS, LISTENERS)
begin(OPEN_CONNECTIONS, LISTENERS)
begin(OUTCOMES, State)
begin(RELAYED_BY_LEVEL, (level.value for level in TransportLevel))
begin(POLICY_RELOADS, ("published", "refused"))


def exposition(folder: Path | None) -> bytes:
    """All metrics in the text format: those counted in `folder` by other processes, or (None) this process's own."""
    if folder is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def clean(folder: Path) -> None:
    """Empty the folder at start: counters begin at 0, as Prometheus expects of a restart."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()


def forget(folder: Path, pid: int) -> None:
    """Drop the gauges of a process that died; its counters stay."""
    for file in folder.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)
