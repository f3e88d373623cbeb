"""What recipients learn of their mail in quarantine, and what of it they may release."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Flag


class Quarantine(Section):
    """What users learn of mail to them that is in quarantine. Infected mail is never theirs to release."""

    tell_encrypted: Flag = Field(
        default=True,
        description="Tell a recipient at once of mail that is held since something in it is encrypted "
        "(`unscanned.encrypted`).",
    )
    recipients_release: tuple[Literal["encrypted"], ...] = Field(
        default=("encrypted",),
        description='`["encrypted"]`: recipients may release such mail themselves, by answering that notice from their '
        "own account. It is scanned again first, and anything else that the policy objects to keeps it held. `[]`: "
        "only administrators may; the answer asks them.",
    )
    digest: Literal["off", "daily"] = Field(
        default="off",
        description="`daily`: a user whose mailbox is here gets one message a day about what has come to quarantine "
        "since the last one: senders, times and reasons.",
    )
    digest_hour: Annotated[int, Field(strict=True, ge=0, le=23)] = Field(
        default=6, description="From this hour on (UTC) the day's digest is sent."
    )
