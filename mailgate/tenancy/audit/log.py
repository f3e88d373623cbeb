"""The audit log of a tenant, and of the gateway: appended to in the transaction of the change that it tells of.

An entry holds no secret: neither passwords nor their hashes nor keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from mailgate.tenancy.acting import Acting
from mailgate.tenancy.audit.chain import BEGINNING, Entry, Head, Verified, link, verify
from mailgate.tenancy.databases.audit_tables import REGISTRY_AUDIT, TENANT_AUDIT, AuditTables

Facts = Mapping[str, Any]

_APPENDED = "audit head"


class AuditLog:
    """Each call works in the transaction of the session it is given."""

    def __init__(self, tables: AuditTables) -> None:
        self._entries = tables.entries
        self._anchor = tables.anchor

    def append(
        self,
        session: Session,
        acting: Acting,
        at: float,
        action: str,
        object: str,
        before: Facts | None = None,
        after: Facts | None = None,
    ) -> None:
        """One more entry; it comes into being with the change that `session` makes, or not at all."""
        previous = self.head(session)
        told = (_json(before), _json(after), acting.reason, acting.request)
        entry = Entry(previous.n + 1, at, acting.caller.name, action, object, *told)
        hashed = link(previous.hash, entry)
        session.execute(insert(self._entries).values(asdict(entry) | {"hash": hashed}))
        session.info[_APPENDED] = Head(entry.n, hashed)

    def head(self, session: Session) -> Head:
        columns = self._entries.c
        last = session.execute(select(columns.n, columns.hash).order_by(columns.n.desc()).limit(1)).first()
        return self.start(session) if last is None else Head(*last)

    def start(self, session: Session) -> Head:
        """What the oldest entry follows."""
        anchor = session.execute(select(self._anchor.c.n, self._anchor.c.hash)).first()
        return BEGINNING if anchor is None else Head(*anchor)

    def newest(self, session: Session, *, since: float = 0.0, object: str = "", limit: int = 1000) -> list[Entry]:
        """The newest `limit` entries, the oldest of them first."""
        columns = self._entries.c
        query = select(self._entries).where(columns.at >= since)
        if object:
            query = query.where(columns.object == object)
        return [Entry(*row) for row in session.execute(query.order_by(columns.n.desc()).limit(limit))][::-1]

    def verify(self, session: Session, kept: tuple[Head, ...]) -> Verified:
        return verify(self._all(session), self.start(session), kept)

    def _all(self, session: Session) -> Iterator[Entry]:
        rows = session.execute(select(self._entries).order_by(self._entries.c.n).execution_options(yield_per=500))
        return (Entry(*row) for row in rows)

    def prune(self, session: Session, before: float) -> int:
        """Deletes what is older than `before`; the last one deleted is remembered, so that the rest can be verified."""
        columns = self._entries.c
        young = select(columns.n).where(columns.at >= before).order_by(columns.n).limit(1)
        query = select(columns.n, columns.hash).order_by(columns.n.desc()).limit(1)
        first_kept = session.scalar(young)
        last = session.execute(query if first_kept is None else query.where(columns.n < first_kept)).first()
        if last is None:
            return 0
        session.execute(delete(self._anchor))
        session.execute(insert(self._anchor).values(n=last.n, hash=last.hash))
        return session.connection().execute(delete(self._entries).where(columns.n <= last.n)).rowcount


def appended(session: Session) -> Head | None:
    """The head after what was appended in this session, None where nothing was."""
    found: Head | None = session.info.get(_APPENDED)
    return found


def _json(facts: Facts | None) -> str | None:
    return None if facts is None else msgspec.json.encode(facts, order="sorted").decode()


REGISTRY = AuditLog(REGISTRY_AUDIT)
TENANT = AuditLog(TENANT_AUDIT)
