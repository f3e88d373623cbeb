"""Whether a message can go on in a form that its way can take, before it is accepted: 8-bit mail to a tenant's own
server without 8BITMIME, and long lines of what a tenant sends. It is the relay that brings it into this form."""

from __future__ import annotations

import asyncio

from mailgate.edge import replies
from mailgate.edge.callout import Takes
from mailgate.edge.transaction import Transaction
from mailgate.model.errors import Refusal
from mailgate.recoding.entity import NotConvertibleError
from mailgate.recoding.lines import first_long
from mailgate.recoding.plan import Aim, Edit, planned, recoded

TRACE_ROOM = 2_048  # bytes of the fields that are put on top of a message


async def check(tx: Transaction) -> None:
    """Refused where it can't. A mailbox here takes long lines as they are."""
    if tx.has_long_lines and not all(recipient.mailboxes for _, recipient in tx.recipients):
        try:
            await planned(tx.staging.source, Aim(short_lines=True))
        except NotConvertibleError as error:
            raise Refusal(replies.line_too_long(first_long(tx.staging.source.pieces()), str(error))) from None
    is_utf8 = tx.smtputf8 and tx.header is not None and not all(each.raw.isascii() for each in tx.header.section.fields)
    for takes in tx.taken_there:
        if takes.size and tx.staging.size + TRACE_ROOM > takes.size:
            raise Refusal(replies.too_large_there(takes.size))
        if is_utf8 and "smtputf8" not in takes.keywords:
            raise Refusal(replies.NO_UTF8_THERE)
    narrow = [takes for takes in tx.taken_there if "8bitmime" not in takes.keywords]
    if narrow and not all(data.isascii() for data in tx.staging.source.pieces()):
        await _check_conversion(tx, narrow)


async def _check_conversion(tx: Transaction, servers: list[Takes]) -> None:
    try:
        edits = await planned(tx.staging.source, Aim(seven_bit=True))
    except NotConvertibleError as error:
        raise Refusal(replies.no_8bit_there(str(error))) from None
    limit = min((takes.size for takes in servers if takes.size), default=0)
    if edits and limit and await _size_of(tx, edits) + TRACE_ROOM > limit:
        raise Refusal(replies.too_large_there(limit))


async def _size_of(tx: Transaction, edits: tuple[Edit, ...]) -> int:
    size = 0
    for data in recoded(tx.staging.source.pieces(), edits):
        size += len(data)
        await asyncio.sleep(0)
    return size
