"""Passwords of people, their addresses, and what they may send."""

from __future__ import annotations

from typing import Annotated, Literal

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
        description="Failed logins in a row, from networks that the account has not logged in from, after which it is "
        "locked to such networks; 0 switches it off. Networks that it has logged in from, and app passwords, go on. "
        "Each /24 (/48 for IPv6) counts for five at first. Long before, each further try has to wait. The same wrong "
        "password again from the same address counts once.",
    )
    lock_minutes: Annotated[int, Field(strict=True, ge=0, le=525_600)] = Field(
        default=60, description="How long it stays locked; 0: until `mailgate user unlock`."
    )


class Submission(Section):
    """What users hand in. The numbers say how much one account may submit before its mail is held and the tenant's
    administrators are told, since somebody else may know its password; 0 switches a limit off."""

    hide_client: bool = Field(
        default=True,
        description="Leave the address and host name of the user's computer, and the login name, out of the fields "
        "that the gateway adds. The timeline has them all the same.",
    )

    withheld: Literal["refuse", "quarantine"] = Field(
        default="refuse",
        description="What becomes of mail to others outside of the tenant that a rule would quarantine: `refuse` "
        "answers 554 with the reason, so that the sender knows at once; `quarantine` keeps it, and the sender is told "
        "by mail (docs/notices.md). Where only some recipients are outside the message is taken, and theirs kept.",
    )
    messages_per_hour: Often = Field(default=0, description="Messages in one hour.")
    recipients_per_hour: Often = Field(default=0, description="Recipients of all its messages in one hour.")
    times_average: Annotated[int, Field(strict=True, ge=0, le=10_000)] = Field(
        default=0,
        description="Messages in one hour as a multiple of the account's own average of the busy hours of the last "
        "two weeks; counts from 50 messages on.",
    )


class Addresses(Section):
    """What the addresses of a tenant's people are understood to mean."""

    labels: bool = Field(
        default=True,
        description="Deliver mail for `bob+anything@` to `bob@`, and let Bob send as such an address. An address that "
        "exists as it is written goes first.",
    )
