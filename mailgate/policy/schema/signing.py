"""How mail that leaves is signed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailgate.policy.schema.section import Section


class Signing(Section):
    """The DKIM keys of the tenant's domains."""

    rotate_days: Annotated[int, Field(strict=True, ge=0, le=3_650)] = Field(
        default=0,
        description="Age of a domain's keys in days at which new ones are made beside them. They sign once the DNS "
        "shows them (`mailgate dns check` prints what to publish); the old ones are deleted a week later. 0: only "
        "by `mailgate dkim rotate`.",
    )
