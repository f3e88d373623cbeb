"""For how long records are kept."""

from __future__ import annotations

from pydantic import Field

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Days


class Retention(Section):
    """For how long records with personal data are kept; then they are deleted."""

    quarantine_days: Days = Field(default=30, description="Messages in quarantine.")
    timeline_days: Days = Field(default=90, description="Timelines of messages (`mailgate trace`).")
    refusal_days: Days = Field(
        default=14,
        description="What was refused in the dialogue: addresses, reply and reason (`mailgate trace ADDRESS`).",
    )
    login_days: Days = Field(default=90, description="Logins of each user (`mailgate user logins`).")
    audit_days: Days = Field(default=365, description="The log of what administrators did.")
