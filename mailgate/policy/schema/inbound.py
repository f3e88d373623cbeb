"""A tenant's own servers: they take the mail for its domains, or send through the gateway."""

from __future__ import annotations

import enum

from pydantic import Field

from mailgate.model.level import TransportLevel
from mailgate.policy.schema.section import Section
from mailgate.policy.values import Flag, HostPort, OwnDomains


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
    server: HostPort = Field(
        description="`host:port` of the server, e.g. `mail.acme.example:25`. It may have a private address."
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
