"""Records of refusals: what comes again is one row, and no flood drives out what others were told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.model.envelope import TenantName
from mailgate.model.turned_away import TurnedAway
from mailgate.spool import turned_away
from mailgate.spool.listing import Listing
from mailgate.spool.sqlite import SqliteSpool
from mailgate.spool.turned_away import Owned

ACME = TenantName("acme")


def owned(
    *recipients: str, at: float = 1.0, client: str = "192.0.2.1", network: str = "192.0.2.0/24", tenant: str = "acme"
) -> Owned:
    away = TurnedAway(
        at, "mx", client, network, "helo", "", "RCPT", "ann@far.example", recipients, "550 5.1.1 No", "unknown"
    )
    return Owned(away, dict.fromkeys(recipients or ("",), TenantName(tenant)))


def keep(spool: SqliteSpool, *found: Owned) -> None:
    spool.begin()
    spool.keep_turned_away(found)
    spool.commit()


def test_found_by_recipient_sender_and_client(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, owned("Bob@acme.example", "eve@acme.example"))
    assert [row.recipient for row in listing.turned_away_path("bob@ACME.example")] == ["Bob@acme.example"]
    assert len(listing.turned_away_path("ann@far.example")) == 2
    assert len(listing.turned_away_client("192.0.2.1")) == 2
    assert listing.turned_away_path("ob@acme.example") == []
    (row,) = listing.turned_away_path("eve@acme.example")
    assert (row.tenant, row.reply, row.around.reason, row.times) == ("acme", "550 5.1.1 No", "unknown", 1)


def test_what_comes_again_is_counted(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, owned("bob@acme.example", at=5.0), owned("bob@acme.example", at=9.0))
    keep(spool, owned("bob@acme.example", at=7.0))
    (row,) = listing.turned_away_path("bob@acme.example")
    assert (row.first, row.last, row.times) == (5.0, 9.0, 3)


def test_a_flood_of_one_network_costs_itself(
    spool: SqliteSpool, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turned_away, "MOST_OF_NETWORK", 50)
    keep(spool, owned("bob@acme.example", network="198.51.100.0/24"))
    for batch in range(10):
        keep(spool, *(owned(f"{batch}-{n}@acme.example", at=10.0 * batch + n) for n in range(30)))
    assert len(listing.turned_away_client("192.0.2.1")) == 51
    assert listing.turned_away_path("bob@acme.example") != []
    assert listing.turned_away_path("9-29@acme.example") != [], "the newest stay"


@pytest.mark.parametrize(("networks", "stays"), [(4, True), (400, False)])
def test_a_flood_of_many_networks_costs_those_that_have_most(
    spool: SqliteSpool, listing: Listing, monkeypatch: pytest.MonkeyPatch, networks: int, stays: bool
) -> None:
    """Only where all have as few as the one that was refused the oldest go, whoever they are."""
    monkeypatch.setattr(turned_away, "MOST", 100)
    keep(spool, owned("bob@acme.example", at=0.5, network="198.51.100.0/24"))
    for n in range(400):
        network = f"10.{n % networks}.0.0/24"
        keep(spool, owned(f"{n}@acme.example", at=float(n + 1), client=f"10.{n}", network=network))
    (total,) = spool._connection.execute("SELECT count(*) FROM turned_away").fetchone()
    assert total <= 100
    assert bool(listing.turned_away_path("bob@acme.example")) is stays


def test_each_goes_after_the_days_of_its_tenant(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, owned("bob@acme.example", at=5.0), owned("kim@other.example", at=5.0, tenant="other"))
    keep(spool, owned("x@far.example", at=5.0, tenant=""))
    spool.begin()
    assert spool.forget_turned_away(lambda tenant: {"acme": 6.0, "other": 4.0}.get(tenant, 4.0)) == 1
    spool.commit()
    assert {row.recipient for row in listing.turned_away_client("192.0.2.1")} == {"kim@other.example", "x@far.example"}


def test_it_goes_with_its_tenant_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "spool.db"
    first = SqliteSpool(path)
    keep(first, owned("bob@acme.example"), owned("kim@other.example", tenant="other"))
    first.close()
    spool = SqliteSpool(path)
    listing = Listing(path)
    assert len(listing.turned_away_client("192.0.2.1")) == 2
    spool.begin()
    spool.forget_tenant(ACME, 10.0, 0, 100)
    spool.commit()
    assert [row.recipient for row in listing.turned_away_client("192.0.2.1")] == ["kim@other.example"]
    listing.close()
    spool.close()
