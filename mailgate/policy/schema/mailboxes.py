"""Mailboxes of this gateway."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Size


class Mailboxes(Section):
    """How much a mailbox may hold, where it has no quota of its own (`mailgate mailbox quota`), and who may agree that
    somebody else reads it."""

    quota: Size | None = Field(default=None, description='Bytes, or a text such as "5 GiB"; not given: no quota.')
    over_quota: Literal["defer", "reject"] = Field(
        default="defer",
        description="What senders get at RCPT while it is full: `defer` (452 4.2.2, they try again for days) or "
        "`reject` (552 5.2.2, they know at once).",
    )
    confirmer_days: Annotated[int, Field(strict=True, ge=0, le=365)] = Field(
        default=7,
        description="For how long an administrator must have had the role to confirm access in an emergency "
        "(`mailgate breakglass confirm`). Whom the asker made an administrator can't, however long ago; an operator "
        "always can.",
    )
