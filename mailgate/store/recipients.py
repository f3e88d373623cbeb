"""Answers who is behind an address: what the directory knows, where the policy routes mail, and whether there is room
in the mailbox."""

from __future__ import annotations

from msgspec.structs import replace

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import TenantName
from mailgate.store.delivery.bounces import Bounces
from mailgate.store.delivery.quotas import Quotas
from mailgate.store.directory_thread import DirectoryThread
from mailgate.store.policies import Policies
from mailgate.tenancy.databases.ids import GATEWAY_MAILBOX
from mailgate.tenancy.recipients import Rules

MOST_UNREAD = 100 << 20  # bytes for the operator that are kept while nobody is named to read them


class Recipients:
    """Lives in the event loop."""

    def __init__(self, directory: DirectoryThread, policies: Policies, bounces: Bounces) -> None:
        self._directory = directory
        self._bounces = bounces
        self._policies = policies
        self._quotas = Quotas(directory.directory, directory.executor, self.default_quota)

    async def find(self, local: str, domain: str) -> Resolved:
        """`domain` as A-label in lower case; empty for `<Postmaster>`."""
        rules = self._rules()
        found = await self._directory.ask(lambda directory: directory.recipients.resolve(local, domain, rules))
        is_own = domain and found.kind in ("mailbox", "unknown", "unavailable") and not found.via
        if not is_own or GATEWAY_MAILBOX in found.mailboxes:
            return found
        is_routed = self._policies.current.for_tenant(found.tenant).inbound_route(domain) is not None
        return Resolved("routed", found.tenant) if is_routed else found

    def _rules(self) -> Rules:
        policy = self._policies.current
        return Rules(
            has_labels=lambda tenant: policy.for_tenant(tenant).addresses.labels,
            is_routed=lambda tenant, domain: policy.for_tenant(tenant).inbound_route(domain) is not None,
            postmaster=lambda tenant: policy.for_tenant(tenant).postmaster.address,
            operator=policy.for_gateway.postmaster.operator,
        )

    async def find_with_room(self, local: str, domain: str) -> Resolved:
        """Like `find`, for who is about to send: a mailbox may be full, a reverse-path have had too many bounces today.
        Postmasters are not, but for the operator's own mailbox that nobody may be reading."""
        found = await self.find(local, domain)
        if found.kind == "bounce":
            has_room = self._bounces.has_room(f"{local}@{domain}")
            return replace(found if has_room else Resolved("unknown", found.tenant), is_limited=True)
        if GATEWAY_MAILBOX in found.mailboxes:
            return await self._quotas.judge_against(found, MOST_UNREAD)
        if found.kind != "mailbox" or not domain:
            return found
        return await self._quotas.judge(found)

    def default_quota(self, tenant: TenantName) -> int | None:
        """Bytes that the tenant's policy lets a mailbox hold; None for no limit."""
        return self._policies.current.for_tenant(tenant).mailboxes.quota

    def close(self) -> None:
        self._quotas.close()
