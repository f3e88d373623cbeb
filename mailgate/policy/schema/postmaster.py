"""Who reads what is written to the postmaster and about abuse."""

from __future__ import annotations

from pydantic import Field

from mailgate.policy.schema.section import Section
from mailgate.policy.values import MailAddress


class Postmaster(Section):
    """Mail to `postmaster@` and `abuse@` the tenant's domains is always taken (RFC 5321 section 4.5.1, RFC 2142). Where
    such an address exists, it goes there."""

    address: MailAddress = Field(
        default="",
        description="Where it goes while no such address exists. Empty: to the mailboxes of the tenant's "
        "administrators, and where there are none, to the operator.",
        examples=["it@acme.example"],
    )


class GatewayPostmaster(Postmaster):
    """Mail to `postmaster@` and `abuse@` the gateway's own name, from which all notices come, and to `<Postmaster>`."""

    operator: MailAddress = Field(
        default="",
        description="The address of those who run the gateway, at a domain that is hosted here (an alias may lead "
        "elsewhere). Empty: it is kept in DATA_DIR/postmaster, a Maildir, and `mailgate doctor` warns.",
        examples=["noc@hosting.example"],
    )
