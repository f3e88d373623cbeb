"""Who was refused before a message was kept, for a while. What comes again is one row. Bounded by network and in all,
so that a flood neither fills the disk nor drives out what others were told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from mailgate.model.envelope import TenantName
from mailgate.model.turned_away import TurnedAway

MOST_OF_NETWORK = 1_000  # rows
MOST = 100_000
MOST_SHOWN = 200
_SMALL = 10  # where no network has more rows than this, the oldest of all go

_SAME = """UPDATE turned_away SET last = max(last, ?), times = times + 1, facts = ?
    WHERE client = ? AND sender = ? AND recipient = ? AND reply = ? AND tenant = ?"""
_INSERT = """INSERT INTO turned_away (network, tenant, client, sender, recipient, reply, first, last, times, facts)
    VALUES (?,?,?,?,?,?,?,?,1,?)"""
_OLDEST_OF = """DELETE FROM turned_away WHERE id IN
    (SELECT id FROM turned_away WHERE network = ? ORDER BY last LIMIT ?)"""
_OLDEST = "DELETE FROM turned_away WHERE id IN (SELECT id FROM turned_away ORDER BY last LIMIT ?)"
_BIGGEST = "SELECT network, count(*) FROM turned_away GROUP BY network ORDER BY 2 DESC LIMIT 1"
_COLUMNS = "id, tenant, client, sender, recipient, reply, first, last, times, facts"
_OF_PATH = f"""SELECT {_COLUMNS} FROM turned_away WHERE recipient = ?1 COLLATE NOCASE
    UNION SELECT {_COLUMNS} FROM turned_away WHERE sender = ?1 COLLATE NOCASE ORDER BY last DESC"""  # noqa: S608
_OF_CLIENT = f"SELECT {_COLUMNS} FROM turned_away WHERE client = ?1 ORDER BY last DESC"  # noqa: S608


class Circumstances(msgspec.Struct, frozen=True):
    """What is told, and not looked for; as in TurnedAway."""

    listener: str
    helo: str
    tls: str
    command: str
    reason: str
    queue_id: str


@dataclass(frozen=True, slots=True)
class TurnedAwayRow:
    """One row: what happened `times`, from `first` to `last` (seconds since 1970). `tenant` is whose business it is,
    empty for nobody's."""

    around: Circumstances
    tenant: TenantName
    client: str
    sender: str
    recipient: str
    reply: str
    first: float
    last: float
    times: int


@dataclass(frozen=True, slots=True)
class Owned:
    """One to be kept, once for each of its recipients: whose business each is (see `TurnedAwayRow`)."""

    away: TurnedAway
    tenants: Mapping[str, TenantName]


_encode = msgspec.json.Encoder().encode
_circumstances = msgspec.json.Decoder(Circumstances).decode


def of_path(connection: apsw.Connection, path: str) -> list[TurnedAwayRow]:
    """The newest MOST_SHOWN with this sender or recipient, in any case; newest first."""
    return _read(connection, _OF_PATH, path)


def of_client(connection: apsw.Connection, address: str) -> list[TurnedAwayRow]:
    """The same of a client."""
    return _read(connection, _OF_CLIENT, address)


def _read(connection: apsw.Connection, statement: str, wanted: str) -> list[TurnedAwayRow]:
    rows: Iterable[tuple[Any, ...]] = connection.execute(f"{statement} LIMIT {MOST_SHOWN}", (wanted,))
    return [_row(*row[1:]) for row in rows]


def _row(*columns: Any) -> TurnedAwayRow:
    *told, facts = columns
    return TurnedAwayRow(_circumstances(facts), *told)


class TurnedAwayTable:
    """Writes through the spool's connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def add(self, found: Sequence[Owned]) -> None:
        for each in found:
            self._add(each)
        for network in {each.away.network for each in found}:
            self._bound(network)
        self._bound_all()

    def _add(self, each: Owned) -> None:
        away = each.away
        facts = _encode(Circumstances(away.listener, away.helo, away.tls, away.command, away.reason, away.queue_id))
        for recipient in away.recipients or ("",):
            tenant = each.tenants.get(recipient, "")
            same = (away.client, away.sender, recipient, away.reply, tenant)
            self._connection.execute(_SAME, (away.at, facts, *same))
            if not self._connection.changes():
                row = (away.network, tenant, *same[:4], away.at, away.at, facts)
                self._connection.execute(_INSERT, row)

    def _bound(self, network: str) -> None:
        held = self._connection.execute("SELECT count(*) FROM turned_away WHERE network = ?", (network,)).get
        if held > MOST_OF_NETWORK:
            self._connection.execute(_OLDEST_OF, (network, held - MOST_OF_NETWORK))

    def _bound_all(self) -> None:
        """At the cost of the network that has most."""
        while (over := self._connection.execute("SELECT count(*) FROM turned_away").get - MOST) > 0:
            network, held = self._connection.execute(_BIGGEST).get
            if held > _SMALL:
                self._connection.execute(_OLDEST_OF, (network, held // 2))
            else:
                self._connection.execute(_OLDEST, (over + MOST // 100,))

    def tenants(self) -> list[TenantName]:
        return [TenantName(row[0]) for row in self._connection.execute("SELECT DISTINCT tenant FROM turned_away")]

    def forget(self, tenant: TenantName, before: float) -> int:
        """Those of the tenant that came last before this moment; how many."""
        self._connection.execute("DELETE FROM turned_away WHERE tenant = ? AND last < ?", (tenant, before))
        return self._connection.changes()
