"""The DKIM keys of a tenant's domains, sealed: what is kept here is no use without the tenant's content key."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from mailgate.model.errors import NotFoundError, UnavailableError
from mailgate.tenancy.databases.models import DkimKey
from mailgate.tenancy.work import Work

_NONCE_BYTES = 12


def add(work: Work, content_key: bytes, domain: str, selector: str, kind: str, private: bytes, record: str) -> DkimKey:
    """`private` is the key as octets. Raises NotFoundError where the domain is not the tenant's."""
    check_domain(work, domain)
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(content_key).encrypt(nonce, private, _context(domain, selector))
    key = DkimKey(
        domain=domain,
        selector=selector,
        kind=kind,
        key_id=work.tenant.key_id,
        sealed=sealed,
        record=record,
        created_at=work.now,
        retired_at=None,
    )
    work.session.add(key)
    work.session.flush()
    return key


def unseal(content_key: bytes, key: DkimKey) -> bytes:
    """The private key; raises UnavailableError where this is not the content key that sealed it."""
    try:
        return AESGCM(content_key).decrypt(
            key.sealed[:_NONCE_BYTES], key.sealed[_NONCE_BYTES:], _context(key.domain, key.selector)
        )
    except (InvalidTag, ValueError):
        raise UnavailableError(
            f"DKIM key {key.selector} of {key.domain}: content key {key.key_id} sealed it, and it does not open by the "
            "one in use"
        ) from None


def of_domain(work: Work, domain: str) -> Sequence[DkimKey]:
    """The newest first, those that are retired included."""
    query = select(DkimKey).where(DkimKey.domain == domain)
    return work.session.scalars(query.order_by(DkimKey.created_at.desc(), DkimKey.selector)).all()


def retire_older(work: Work, domain: str, selector: str) -> list[str]:
    """The key is in use: all older ones of its kind are retired. Their selectors; raises NotFoundError."""
    keys = of_domain(work, domain)
    newest = next((key for key in keys if key.selector == selector), None)
    if newest is None:
        raise NotFoundError(f"{domain} has no DKIM key with selector {selector}")
    retired = []
    for key in keys:
        if key.kind == newest.kind and key.retired_at is None and key.created_at < newest.created_at:
            key.retired_at = work.now
            retired.append(key.selector)
    return retired


def delete_retired(work: Work, domain: str, before: float) -> list[str]:
    """Deletes what was retired before this time; their selectors."""
    gone = [key for key in of_domain(work, domain) if key.retired_at is not None and key.retired_at < before]
    for key in gone:
        work.session.delete(key)
    return [key.selector for key in gone]


def check_domain(work: Work, domain: str) -> None:
    if domain not in work.tenant.domains:
        raise NotFoundError(f"{domain} is not a domain of tenant {work.tenant.name}")


def _context(domain: str, selector: str) -> bytes:
    return f"mailgate dkim key {selector} {domain}".encode()
