"""Scheduled rotation of DKIM keys: asks the DNS for the new ones, and tells the store which of them it shows."""

from __future__ import annotations

from mailgate.ipc.calls import GetNewKeys, KeysShown, NewKey, NewKeys
from mailgate.ipc.line import StoreLine
from mailgate.model.dns import Resolver
from mailgate.model.errors import MailgateError
from mailgate.records import log
from mailgate.senderauth import dkim_key

_logger = log.get(__name__)


async def look(store: StoreLine, resolver: Resolver) -> None:
    """Once over all keys that wait. Keys of one domain are told together, so that both kinds change at one time."""
    try:
        answer = await store.call(GetNewKeys())
        waiting = answer.keys if isinstance(answer, NewKeys) else ()
        for domain in dict.fromkeys(key.domain for key in waiting):
            keys = [key for key in waiting if key.domain == domain]
            if all([await _is_shown(resolver, key) for key in keys]):
                selectors = tuple(key.selector for key in keys)
                await store.call(KeysShown(domain, selectors))
                _logger.info("new DKIM keys sign", tenant=keys[0].tenant, domain=domain, selectors=selectors)
    except MailgateError as error:
        _logger.warning("DKIM keys were not looked at", reason=str(error))


async def _is_shown(resolver: Resolver, key: NewKey) -> bool:
    answer = await resolver.txt(f"{key.selector}._domainkey.{key.domain}")
    return any(dkim_key.is_same_key(text, key.record) for text in answer.records)
