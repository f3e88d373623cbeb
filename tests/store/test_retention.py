"""What is kept for too long is deleted, by each tenant's policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.model.decision import Action
from mailgate.model.envelope import TenantName
from mailgate.model.outcome import State
from mailgate.model.turned_away import TurnedAway
from mailgate.policy import loader
from mailgate.settings import Settings
from mailgate.spool.listing import Filter
from mailgate.spool.queue import Selection
from mailgate.spool.schedule import DAY
from mailgate.spool.turned_away import Owned
from mailgate.store.commands.on_spool.desk import Desk
from mailgate.store.holding.retention import sweep
from mailgate.store.keeping.opening import OpenSpool
from mailgate.store.keeping.reading import Reading
from tests.spool.making import NOW, accepted, entry, envelope
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def desk(opened: OpenSpool, clock: ManualClock, tmp_path: Path) -> Desk:
    folder = tmp_path / "policies"
    (folder / "tenants").mkdir(parents=True)
    (folder / "gateway.toml").write_text("[retention]\nquarantine_days = 30\ntimeline_days = 90\n")
    (folder / "tenants" / "brief.toml").write_text(
        "[retention]\nquarantine_days = 7\ntimeline_days = 10\nrefusal_days = 30\n"
    )
    snapshot = loader.load(folder, 52_428_800)
    return Desk(
        Settings(data_dir=tmp_path, policy_dir=folder),
        opened.write,
        opened.listing,
        opened.contents,
        Reading(opened.listing, opened.contents, opened.write, clock),
        clock,
        lambda: None,
        lambda: snapshot,
        lambda: snapshot,
        lambda *_: None,
    )


def keep(opened: OpenSpool, action: Action = Action.ACCEPT, tenant: str = "acme", at: float = NOW) -> str:
    given = entry(action=action, tenant=tenant, at=at)
    opened.write(lambda spool: spool.keep(accepted(given), at, "h", 60))
    return given.envelope.queue_id


def delete(opened: OpenSpool, name: str) -> None:
    chosen = Selection(name, frozenset({State.QUEUED}))  # type: ignore[arg-type]
    opened.write(lambda spool: spool.move(chosen, State.DELETED, NOW, "ops", ""))


def test_nothing_is_old(opened: OpenSpool, desk: Desk) -> None:
    keep(opened, Action.QUARANTINE)
    delete(opened, keep(opened))
    assert sweep(desk) == (0, 0, 0)


@pytest.mark.parametrize(
    ("tenant", "days", "expired"), [("acme", 29, 0), ("acme", 31, 1), ("brief", 6, 0), ("brief", 8, 1)]
)
def test_quarantine_expires_by_tenant(
    opened: OpenSpool, desk: Desk, clock: ManualClock, tenant: str, days: int, expired: int
) -> None:
    name = keep(opened, Action.QUARANTINE, tenant)
    clock.advance(days * DAY)
    assert sweep(desk)[0] == expired
    assert len(opened.listing.rows_of(name)) == 1 - expired
    if expired:
        last = opened.listing.kept(name)[0].events[-1]
        assert (last.kind, last.facts["by"]) == ("expired", "retention")


@pytest.mark.parametrize(
    ("tenant", "days", "gone"), [("acme", 89, 0), ("acme", 91, 1), ("brief", 9, 0), ("brief", 11, 1)]
)
def test_timelines_are_forgotten_by_tenant(
    opened: OpenSpool, desk: Desk, clock: ManualClock, tenant: str, days: int, gone: int
) -> None:
    name = keep(opened, tenant=tenant)
    delete(opened, name)
    clock.advance(days * DAY)
    assert sweep(desk)[1] == gone
    assert len(opened.listing.kept(name)) == 1 - gone


def test_notes_are_forgotten_too(opened: OpenSpool, desk: Desk, clock: ManualClock) -> None:
    refused = envelope()
    opened.write(lambda spool: spool.note(refused, []))
    clock.advance(91 * DAY)
    assert sweep(desk)[1] == 1
    assert opened.listing.kept(refused.queue_id) == []


@pytest.mark.parametrize(("tenant", "days", "gone"), [("", 13, 0), ("", 15, 1), ("acme", 15, 1), ("brief", 15, 0)])
def test_refusals_are_forgotten_by_tenant(
    opened: OpenSpool, desk: Desk, clock: ManualClock, tenant: str, days: int, gone: int
) -> None:
    away = TurnedAway(NOW, "mx", "192.0.2.1", "192.0.2.0/24", "", "", "RCPT", "<>", (), "550 no", "")
    opened.write(lambda spool: spool.keep_turned_away([Owned(away, {"": TenantName(tenant)})]))
    clock.advance(days * DAY)
    assert sweep(desk)[2] == gone


def test_what_waits_keeps_its_timeline(opened: OpenSpool, desk: Desk, clock: ManualClock) -> None:
    name = keep(opened, Action.HOLD)
    clock.advance(1000 * DAY)
    sweep(desk)
    assert len(opened.listing.kept(name)) == 1
    assert len(opened.listing.page(Filter())) == 1
