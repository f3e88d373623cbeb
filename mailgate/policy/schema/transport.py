"""How private connections to other mail servers must be, and where mail goes."""

from __future__ import annotations

import enum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mailgate.model.level import TransportLevel
from mailgate.policy.schema.section import Section
from mailgate.policy.values import DomainPattern, DomainPatterns, Flag, HostPort, IpAddress


class TransportClass(enum.StrEnum):
    """What mail to a domain needs. OPPORTUNISTIC: the best that is there; the others are levels."""

    OPPORTUNISTIC = "opportunistic"
    ENCRYPTED = "encrypted"
    FORWARD_SECRET = "forward-secret"  # noqa: S105 (not a password)
    AUTHENTICATED = "authenticated"

    @property
    def level(self) -> TransportLevel:
        return TransportLevel.PLAINTEXT if self is TransportClass.OPPORTUNISTIC else TransportLevel(self.value)


class Transport(Section):
    """How private connections to other mail servers must be."""

    minimum: TransportLevel = Field(
        default=TransportLevel.PLAINTEXT,
        description="The least that mail may leave with: `plaintext` < `encrypted` < `forward-secret` < "
        "`authenticated`. The best that the other side offers is used in any case; below the minimum mail waits, "
        "then bounces. A tenant may only raise it.",
    )
    classes: dict[DomainPattern, TransportClass] = Field(
        default_factory=dict,
        description='What mail to single domains needs, e.g. `"*.bank.example" = "authenticated"`: '
        "`opportunistic`, `encrypted`, `forward-secret` or `authenticated`. `*.` stands for all names below, `*` for "
        "all domains. Of all that fit the strictest counts, the gateway's and the minimum included.",
    )
    egress_address: IpAddress = Field(
        default="", description="The address of this machine that connections are made from; empty: the system chooses."
    )


class RouteRule(Section):
    """Where mail to some domains goes instead of the mail hosts that DNS names. The first route that fits is taken, the
    tenant's before the gateway's."""

    domains: DomainPatterns = Field(
        alias="domain", description="The recipients' domain; `*.` stands for all names below, `*` for all domains."
    )
    smarthost: HostPort | None = Field(
        default=None,
        description="`host:port` that takes the mail, e.g. `smtp.provider.example:587`; without it DNS counts.",
    )
    username: Annotated[str, StringConstraints(max_length=320)] = Field(
        default="", description="The account at the smarthost; the password is sent inside TLS only."
    )
    password_file: Annotated[str, StringConstraints(max_length=4_096)] = Field(
        default="", description="The file with the password in its first line, readable by the gateway only."
    )
    minimum: TransportLevel | None = Field(
        default=None,
        description="The least private level on this route, if it is to be more than `transport` asks for.",
    )
    private_addresses: Flag = Field(
        default=False, description="Mail hosts that DNS names may have private addresses. A smarthost always may."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.username) != bool(self.password_file):
            raise PydanticCustomError("login", "needs username and password_file together")
        if self.username and self.smarthost is None:
            raise PydanticCustomError("login", "has a login but no smarthost to use it with")
        return self
