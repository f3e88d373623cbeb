"""The end of a message to a release address (`model.release_address`): the store releases what it names, and only then
the client hears 250. The message itself is an order, not mail; it is not kept."""

from __future__ import annotations

import asyncio

from mailgate.edge import replies
from mailgate.edge.transaction import Transaction
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.model.reply import Reply
from mailgate.records import log

_logger = log.get(__name__)


async def finish(tx: Transaction) -> Reply:
    """Never raises but CancelledError."""
    try:
        async with asyncio.timeout(tx.around.limits().reply_seconds):
            is_released = await tx.around.store.release_own(tx.client.account, tx.release_local)
    except NotFoundError:
        return replies.NOTHING_TO_RELEASE
    except ConflictError as error:
        return replies.refused(str(error), 550)
    except (UnavailableError, TimeoutError):
        return replies.TRY_AGAIN
    finally:
        tx.close()
    _logger.info("released by its recipient" if is_released else "handed to the administrators", tenant=tx.tenant)
    return replies.RELEASED if is_released else replies.HANDED_OVER
