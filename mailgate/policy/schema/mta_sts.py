"""What others are told of how private the way to us is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailgate.policy.schema.section import Section
from mailgate.policy.values import OwnDomainSet


class MtaSts(Section):
    """The MTA-STS policy of the domains (RFC 8461): that others bring their mail by authenticated TLS only. It counts
    once the DNS shows its record; `mailgate dns records` prints both."""

    mode: Literal["off", "none", "testing", "enforce"] = Field(
        default="enforce",
        description="`enforce`; `testing`: others report failures and deliver all the same; `none`: takes an earlier "
        "policy back; `off`: there is no policy file.",
    )
    max_age: Annotated[int, Field(strict=True, ge=86_400, le=31_557_600)] = Field(
        default=604_800, description="For how many seconds others keep the policy; the more, the harder to attack."
    )
    mx: OwnDomainSet = Field(
        default=(),
        description="The mail hosts that the policy allows; `*.` stands for one label. Empty: MAILGATE_HOSTNAME.",
    )
