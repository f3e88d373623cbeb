"""Passwords of people, and how much one of them may send."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailgate.policy.schema.section import Section

Often = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]


class Passwords(Section):
    """What passwords must be, and what happens after many wrong ones."""

    minimum_score: Annotated[int, Field(strict=True, ge=0, le=4)] = Field(
        default=2,
        description="Strength that a new password needs, as zxcvbn estimates it: 2 (more than a million guesses, "
        "enough behind the back-off after failed logins), 3 (more than a hundred million), 4 (more than ten billion).",
    )
    largest_age_days: Annotated[int, Field(strict=True, ge=0, le=3_650)] = Field(
        default=0,
        description="Age at which a password opens nothing any more until a new one is set; 0 switches it off. App "
        "passwords have an end of their own.",
    )
    lock_after: Annotated[int, Field(strict=True, ge=0, le=100_000)] = Field(
        default=100,
        description="Failed logins in a row after which the account is locked, whoever tries; 0 switches it off. Long "
        "before, each further try has to wait.",
    )
    lock_minutes: Annotated[int, Field(strict=True, ge=0, le=525_600)] = Field(
        default=60, description="How long it stays locked; 0: until `mailgate user unlock`."
    )


class Submission(Section):
    """How much one account may submit before its mail is held and the tenant's administrators are told: somebody else
    may know its password. 0 switches a limit off."""

    messages_per_hour: Often = Field(default=0, description="Messages in one hour.")
    recipients_per_hour: Often = Field(default=0, description="Recipients of all its messages in one hour.")
    times_average: Annotated[int, Field(strict=True, ge=0, le=10_000)] = Field(
        default=0,
        description="Messages in one hour as a multiple of the account's own average of the busy hours of the last "
        "two weeks; counts from 50 messages on.",
    )
