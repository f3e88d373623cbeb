"""IMAP sessions end when what they were opened with is not true any more.

For each login that was granted, the access that was told to the IMAP server is remembered. After a change in the
directory it is looked up again; where it differs, the ACL file is written anew and the user's sessions are ended. So
whatever takes a mailbox away (an assignment, a group, a state, a password) needs to know nothing of IMAP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError, UnavailableError
from mailgate.store.logins.doveadm import EVERYBODY
from mailgate.tenancy.people.mail_access import NO_ACCESS, MailAccess, acl_text

RETRY_SECONDS = 10.0
ANY_TENANT = TenantName("")

_log = logging.getLogger(__name__)


class MailSessions:
    """`access` looks up what a user may have (NotFoundError, UnavailableError); `kick` ends all sessions of a login
    (UnavailableError), None where nothing can. Lives in the event loop; `run` goes on beside it."""

    def __init__(
        self,
        access: Callable[[str], Awaitable[MailAccess]],
        kick: Callable[[str], Awaitable[None]] | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._kick = kick
        self._clock = clock
        self._granted: dict[str, MailAccess] = {}
        self._changes = 0
        self._changed_tenants: set[TenantName] = set()
        self._is_changed = asyncio.Event()
        # the sessions of before this start are none that we remember
        self._to_end: set[str] = {EVERYBODY}
        self._is_changed.set()

    async def open(self, login: str) -> MailAccess:
        """For a login that was right: what its session gets. Raises like `access`."""
        seen = self._changes
        found = await self._access(login)
        await asyncio.to_thread(write_acl, found.acl, acl_text(found))
        before = self._granted.get(found.login, found)
        self._granted[found.login] = found
        if not found.still_holds(before):
            self._to_end.add(found.login)  # sessions of before, which nothing remembers from here on
            self._is_changed.set()
        if seen != self._changes:
            self.changed(found.tenant)  # it may have been this one, before we remembered
        if found.until is not None:
            self._is_changed.set()  # so that its end is waited for
        return found

    def changed(self, tenant: TenantName) -> None:
        """Something changed in this tenant, or anywhere where it is empty."""
        self._changes += 1
        self._changed_tenants.add(tenant)
        self._is_changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._is_changed.wait()
            except TimeoutError:
                pass
            self._is_changed.clear()
            self._changed_tenants |= {access.tenant for access in self._granted.values() if self._is_over(access)}
            await self._compare()
            await self._end()

    def _pause(self) -> float | None:
        """Until something is to be tried again, or some access ends by itself; None where neither is."""
        now = self._clock()
        ends = [access.until for access in self._granted.values() if access.until is not None]
        pauses = [end - now if end > now else RETRY_SECONDS for end in ends]
        return min([*pauses, RETRY_SECONDS] if self._to_end else pauses, default=None)

    def _is_over(self, access: MailAccess) -> bool:
        return access.until is not None and access.until <= self._clock()

    async def _compare(self) -> None:
        tenants, self._changed_tenants = self._changed_tenants, set()
        for before in list(self._granted.values()):
            if before.tenant not in tenants and ANY_TENANT not in tenants:
                continue
            try:
                now: MailAccess | None = await self._access(before.login)
            except NotFoundError:
                now = None
            except UnavailableError:
                continue  # nobody can say; new logins are refused as well
            if self._granted.get(before.login) is not before:
                continue
            if now is not None and now.still_holds(before):
                self._granted[now.login] = now
                continue
            del self._granted[before.login]
            self._to_end.add(before.login)
            try:
                await asyncio.to_thread(write_acl, before.acl, NO_ACCESS if now is None else acl_text(now))
            except UnavailableError as error:
                _log.error("the IMAP server is not told what %s may: %s", before.login, error)

    async def _end(self) -> None:
        """What could not be ended is tried again."""
        for login in sorted(self._to_end):
            try:
                if self._kick is not None:
                    await self._kick(login)
                self._to_end.discard(login)
            except UnavailableError as error:
                _log.error("IMAP sessions of %s go on with what they may no more; tried again: %s", login, error)


def write_acl(path: Path, text: str) -> None:
    """Whole or not at all, though several logins of one user come at once; it is written at each login, so nothing has
    to be synced. UnavailableError where it can't be written."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        partial.write_text(text)
        os.replace(partial, path)  # noqa: PTH105
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UnavailableError(f"{path}: {error.strerror or error}") from error
