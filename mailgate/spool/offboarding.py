"""What goes from the spool when a tenant goes: its mail, waiting or not, the timelines, and every figure."""

from __future__ import annotations

import apsw

from mailgate.model.envelope import QueueId, TenantName
from mailgate.spool.queue import CONTENT_COLUMNS, Content, Forgotten

_MESSAGES = f"""SELECT m.id, m.queue_id,
    EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.lease_holder <> '' AND r.lease_until > ?),
    {CONTENT_COLUMNS} FROM message m WHERE m.tenant = ? AND m.id > ? ORDER BY m.id LIMIT ?"""  # noqa: S608
_OF_MESSAGE = (
    "DELETE FROM recipient WHERE message = ?",
    "DELETE FROM notice WHERE message = ?",
    "DELETE FROM timeline WHERE message = ?",
    "DELETE FROM content WHERE id = ?",
    "DELETE FROM damaged WHERE message = ?",
    "DELETE FROM message WHERE id = ?",
)
_OF_TENANT = (
    "DELETE FROM coverage WHERE tenant = ?",
    "DELETE FROM remembered WHERE tenant = ?",
    "DELETE FROM dmarc_seen WHERE tenant = ?",
    "DELETE FROM dmarc_received WHERE tenant = ?",
    "DELETE FROM dmarc_report WHERE tenant = ?",
    "DELETE FROM tls_received WHERE tenant = ?",
    "DELETE FROM turned_away WHERE tenant = ?",
)


def forget_tenant(connection: apsw.Connection, tenant: TenantName, now: float, after: int, limit: int) -> Forgotten:
    """One step: `limit` messages from number `after` on, and the figures."""
    found = list(connection.execute(_MESSAGES, (now, tenant, after, limit)))
    free = [row for row in found if not row[2]]
    for statement in _OF_MESSAGE:
        connection.executemany(statement, [(row[0],) for row in free])
    for statement in _OF_TENANT:
        connection.execute(statement, (tenant,))
    contents = [(QueueId(row[1]), Content.of_row(*row[3:])) for row in free]
    freed = tuple((queue_id, content) for queue_id, content in contents if content.in_file)
    last = found[-1][0] if len(found) == limit else None
    return Forgotten(len(free), len(found) - len(free), freed, last)
