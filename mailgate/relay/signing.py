"""Signs what leaves: finds the keys of the author's domain, sees whether the DNS shows them, puts signatures on top."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mailgate.ipc.calls import GetSigningKeys, SigningKeysFound
from mailgate.ipc.line import StoreLine
from mailgate.model.dns import Resolver
from mailgate.model.envelope import Direction, TenantName
from mailgate.model.errors import MailgateError
from mailgate.records import log
from mailgate.relay.dkim_sign import Identity, signatures
from mailgate.relay.mail import Mail
from mailgate.senderauth import dkim_key, header, signing_key
from mailgate.senderauth.author import AuthorError, author_domains
from mailgate.senderauth.body import RELAXED, BodyHashes
from mailgate.senderauth.dkim_key import RSA

KEYS_SECONDS = 60.0  # that keys are used without asking the store for them again
SHOWN_SECONDS = 86_400.0  # that a key counts as shown while the DNS does not answer
REMEMBERED = 10_000

_logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    identities: tuple[tuple[Identity, str], ...]
    until: float


class Signer:
    """`clock` in seconds since 1970. Mail that can't be signed leaves unsigned: that is no reason to keep it."""

    def __init__(self, store: StoreLine, resolver: Resolver, clock: Callable[[], float]) -> None:
        self._store = store
        self._resolver = resolver
        self._clock = clock
        self._known: dict[tuple[TenantName, str], _Known] = {}
        self._shown: dict[str, float] = {}

    def forget(self) -> None:
        """Keys have changed."""
        self._known.clear()

    async def can_sign(self, tenant: TenantName, domain: str) -> bool:
        """Has the domain a key that the DNS shows now?"""
        return bool(await self.identities(tenant, domain))

    async def signs(self, mail: Mail, found: header.Header) -> bool:
        """Will the mail, whose header is `found`, get a signature?"""
        envelope = mail.envelope
        if envelope.direction is not Direction.OUTBOUND:
            return False
        return await self.can_sign(envelope.tenant, _domain(found, envelope.reverse_path))

    async def sign(self, mail: Mail) -> Mail:
        """The mail with signatures on top. OSError where it can't be read."""
        envelope = mail.envelope
        if envelope.direction is not Direction.OUTBOUND:
            return mail
        found = header.read(mail.head)
        identities = await self.identities(envelope.tenant, _domain(found, envelope.reverse_path))
        if not identities:
            return mail
        digest = await body_hash(mail, found.size)
        return mail.signed(signatures(found, digest, identities, int(self._clock())))

    async def identities(self, tenant: TenantName, domain: str) -> tuple[Identity, ...]:
        """The newest key of each kind that the DNS shows now."""
        if not domain:
            return ()
        try:
            keys = await self._keys(tenant, domain)
        except (MailgateError, ValueError) as error:
            _logger.warning("mail leaves unsigned", tenant=tenant, domain=domain, reason=str(error))
            return ()
        chosen: dict[str, Identity] = {}
        for identity, record in keys:
            if identity.key.kind not in chosen and await self._is_shown(identity, record):
                chosen[identity.key.kind] = identity
        # some verifiers look at the topmost signature only, and not all of them know Ed25519
        return tuple(sorted(chosen.values(), key=lambda identity: identity.key.kind != RSA))

    async def _keys(self, tenant: TenantName, domain: str) -> tuple[tuple[Identity, str], ...]:
        known = self._known.get((tenant, domain))
        if known is not None and known.until > self._clock():
            return known.identities
        answer = await self._store.call(GetSigningKeys(tenant, domain))
        keys = answer.keys if isinstance(answer, SigningKeysFound) else ()
        identities = tuple(
            (Identity(domain, key.selector, signing_key.decode(key.private)), key.record) for key in keys
        )
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[tenant, domain] = _Known(identities, self._clock() + KEYS_SECONDS)
        return identities

    async def _is_shown(self, identity: Identity, record: str) -> bool:
        """Answers come from the resolver's cache for their TTL, which is how long others may hold them too."""
        name = f"{identity.selector}._domainkey.{identity.domain}"
        answer = await self._resolver.txt(name)
        if not answer.is_known:
            return self._shown.get(name, 0.0) > self._clock() - SHOWN_SECONDS
        if not any(dkim_key.is_same_key(text, record) for text in answer.records):
            self._shown.pop(name, None)
            return False
        if len(self._shown) >= REMEMBERED:
            self._shown.clear()
        self._shown[name] = self._clock()
        return True


def _domain(found: header.Header, reverse_path: str) -> str:
    """Whose mail it says it is; DMARC compares with the author."""
    try:
        return author_domains(found)[0]
    except AuthorError:
        return reverse_path.rpartition("@")[2].lower()


async def body_hash(mail: Mail, start: int) -> bytes:
    """In the pieces in which it will go out, the other sessions in between."""
    hashes, at = BodyHashes([RELAXED]), 0
    for data in mail.chunks():
        hashes.update(data[max(0, start - at) :])
        at += len(data)
        await asyncio.sleep(0)
    return hashes.digests()[RELAXED]
