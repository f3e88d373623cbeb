"""Whose mail is it? A tenant's own where one of its users has logged in, or where its own server sends under one of
its domains; else it comes from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailgate.edge import replies
from mailgate.edge.client_certificate import ClientCertificate, day_of
from mailgate.model.address import Address
from mailgate.model.envelope import Direction, TenantName
from mailgate.model.errors import Refusal
from mailgate.model.reply import Reply
from mailgate.policy.schema import SendingCertificate
from mailgate.policy.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Origin:
    """`let_in_by`, for the timeline: by what a tenant's own server was known."""

    tenant: TenantName
    direction: Direction
    let_in_by: str = ""


@dataclass(frozen=True, slots=True)
class _Pass:
    """Something by which a server of `tenant` is known. `refusal`: it would let the server in, but for this."""

    tenant: str
    words: str
    certificate: SendingCertificate | None = None
    refusal: Reply | None = None

    def covers(self, domain: str) -> bool:
        return self.certificate is None or self.certificate.covers(domain)


OUTSIDE = Origin(TenantName(""), Direction.INBOUND)


async def of_server(
    policy: Snapshot,
    address: str,
    shown: ClientCertificate | None,
    sender: Address | None,
    owner_of: Callable[[Address], Awaitable[str]],
    now: float,
) -> Origin:
    """The origin of mail from a client without a login at `address`. `sender` is None for the null reverse-path, which
    has no domain: it goes by a server that is one tenant's only. `owner_of` tells the tenant of an address, empty for
    none; `now` in seconds since 1970. Refusal where the only thing for it is a certificate that is not current."""
    passes = _passes(policy, address, shown, now)
    fitting = [each for each in passes if each.covers(sender.domain if sender is not None else "")]
    if not fitting:
        return OUTSIDE
    tenants = {each.tenant for each in fitting}
    owner = await owner_of(sender) if sender is not None else tenants.pop() if len(tenants) == 1 else ""
    own = [each for each in fitting if each.tenant == owner]
    good = next((each for each in own if each.refusal is None), None)
    if good is not None:
        return Origin(TenantName(owner), Direction.OUTBOUND, good.words)
    for each in own:
        if each.refusal is not None:
            raise Refusal(each.refusal)
    return OUTSIDE


def _passes(policy: Snapshot, address: str, shown: ClientCertificate | None, now: float) -> list[_Pass]:
    found = [_Pass(tenant, f"address {address}") for tenant in sorted(policy.senders_at(address))]
    if shown is not None:
        for tenant, pinned in policy.senders_with(shown.sha256, shown.public_key):
            words = f'certificate "{pinned.name}" (sha256 {shown.sha256})'
            found.append(_Pass(tenant, words, pinned, _refusal(pinned, shown, now)))
    return found


def _refusal(pinned: SendingCertificate, shown: ClientCertificate, now: float) -> Reply | None:
    if now > shown.ends:
        return replies.bad_certificate(pinned.name, f"has expired on {day_of(shown.ends)}; install a new one")
    if now < shown.begins:
        return replies.bad_certificate(pinned.name, f"is not valid before {day_of(shown.begins)}; check the clocks")
    return None
