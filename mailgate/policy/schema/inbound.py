"""A tenant's own servers: they take the mail for its domains, or send through the gateway."""

from __future__ import annotations

import enum
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mailgate.model.level import TransportLevel
from mailgate.policy.schema.section import Section
from mailgate.policy.values import Flag, HostPortOrSocket, OwnDomains
from mailgate.settings import Listen


class InboundProtocol(enum.StrEnum):
    """What a tenant's own server speaks."""

    SMTP = "smtp"
    LMTP = "lmtp"


class InboundRoute(Section):
    """Where mail for a domain of the tenant goes instead of mailboxes here: to the tenant's own server. The first route
    that fits is taken, the tenant's before the gateway's; it counts for domains that the tenant has here. All mail for
    the domain goes there, so mailboxes here get none of it."""

    domains: OwnDomains = Field(
        alias="domain", description="A domain of the tenant, or several; `*.` stands for all names below."
    )
    server: HostPortOrSocket = Field(
        description="`host:port` of the server, e.g. `mail.acme.example:25`; it may have a private address. Or, for "
        "LMTP, `unix:/PATH` of a socket of this machine, which the gateway's account must be allowed to open."
    )
    protocol: InboundProtocol = Field(
        default=InboundProtocol.SMTP, description="What the server speaks there: `smtp` or `lmtp`."
    )
    verify: Flag = Field(
        default=True,
        description="Ask the server whether it knows a recipient before mail for it is accepted: one that it does not "
        "know is refused (550); while the server does not answer, the sender is asked to try again (451).",
    )
    minimum: TransportLevel = Field(
        default=TransportLevel.PLAINTEXT,
        description="The least private level on the way to the server, as in `transport.minimum`, which does not "
        "count here.",
    )

    @property
    def endpoint(self) -> Listen:
        """Where the server listens; a socket of this machine has its path as the host, and port 0."""
        path = self.server.removeprefix("unix:")
        return Listen.parse(self.server) if path == self.server else Listen(path, 0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.server.startswith("unix:") and self.protocol is not InboundProtocol.LMTP:
            raise PydanticCustomError("socket", 'a server at a Unix socket speaks LMTP; add protocol = "lmtp"')
        if self.server.startswith("unix:") and self.minimum is not TransportLevel.PLAINTEXT:
            raise PydanticCustomError("socket", "minimum has no meaning for a Unix socket, which no network sees")
        return self
