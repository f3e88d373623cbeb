"""Opaque ids. They stand in paths and in the spool, so they say nothing of a person and need no escaping."""

from __future__ import annotations

import re
import secrets
from typing import NewType

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import NotFoundError

TenantId = NewType("TenantId", str)
UserId = NewType("UserId", str)
KeyId = NewType("KeyId", str)
GroupId = NewType("GroupId", str)
AppPasswordId = NewType("AppPasswordId", str)

GATEWAY_MAILBOX = MailboxId("postmaster")
"""The one that is no tenant's: what is for the operator lies there while nobody is named to read it."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 12  # 60 random bits
_MAILBOX_ID = re.compile(rf"([{_ALPHABET}]{{{_LENGTH}}})-[{_ALPHABET}]{{{_LENGTH}}}")


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def new_tenant_id() -> TenantId:
    return TenantId(_random())


def new_user_id() -> UserId:
    return UserId(_random())


def new_group_id() -> GroupId:
    return GroupId(_random())


def new_app_password_id() -> AppPasswordId:
    return AppPasswordId(_random())


def new_key_id() -> KeyId:
    return KeyId(_random())


def new_mailbox_id(tenant: TenantId) -> MailboxId:
    """`<tenant id>-<random>`: mail for it finds its folder though the tenant's database can't be read."""
    return MailboxId(f"{tenant}-{_random()}")


def tenant_of_mailbox(mailbox: MailboxId) -> TenantId:
    """Raises NotFoundError for what is no mailbox id, so that a path made from it stays below the tenant's folder."""
    match = _MAILBOX_ID.fullmatch(mailbox)
    if match is None:
        raise NotFoundError(f"{mailbox!r} is not a mailbox id")
    return TenantId(match[1])
