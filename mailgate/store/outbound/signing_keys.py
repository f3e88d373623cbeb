"""What the relay asks about DKIM keys: those to sign with, and those that wait for the DNS."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from mailgate.ipc.calls import Done, GetNewKeys, GetSigningKeys, KeysShown, NewKey, NewKeys, SigningKeysFound
from mailgate.model.errors import MailgateError
from mailgate.policy.snapshot import Snapshot
from mailgate.store.commands.on_directory import dkim_keys
from mailgate.tenancy.directory import Directory

_log = logging.getLogger(__name__)


class DkimAnswers:
    """Lives in the event loop; `thread` is the directory's."""

    def __init__(self, directory: Directory, thread: Executor, policy: Callable[[], Snapshot]) -> None:
        self._directory = directory
        self._thread = thread
        self._policy = policy

    async def answer(self, request: GetSigningKeys | GetNewKeys | KeysShown) -> SigningKeysFound | NewKeys | Done:
        loop = asyncio.get_running_loop()
        match request:
            case GetSigningKeys(tenant=tenant, domain=domain):
                return await loop.run_in_executor(self._thread, dkim_keys.keys_of, self._directory, tenant, domain)
            case KeysShown(domain=domain, selectors=selectors):
                await loop.run_in_executor(self._thread, dkim_keys.seen, self._directory, domain, selectors)
                return Done()
        return await self._new_keys()

    async def _new_keys(self) -> NewKeys:
        """Tenant by tenant, so that others get at the directory in between; one that can't be read is passed over."""
        loop = asyncio.get_running_loop()
        found: list[NewKey] = []
        for tenant in tuple(self._directory.tenants):
            days = self._policy().for_tenant(tenant.name).signing.rotate_days
            if not days:
                continue
            try:
                found += await loop.run_in_executor(
                    self._thread, dkim_keys.new_keys, self._directory, tenant.name, days
                )
            except MailgateError as error:
                _log.warning("DKIM keys of tenant %s: %s", tenant.name, error)
        return NewKeys(tuple(found))
