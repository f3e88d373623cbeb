"""What domains tell each other of mail in their names."""

from __future__ import annotations

from pydantic import Field

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Flag, MailAddress


class DmarcReports(Section):
    """Aggregate reports of DMARC (RFC 9990)."""

    send: Flag = Field(
        default=False,
        description="Once a day tell the domains that ask for it what mail came in their names: the addresses it came "
        "from, how much, and the results of SPF, DKIM and DMARC. The reports are sent as `postmaster@` the first of "
        "the tenant's domains that has DKIM keys, signed by them; without keys none are sent.",
    )
    address: MailAddress = Field(
        default="",
        description="The address at which the tenant's domains ask for such reports (`rua=` in their DMARC records), "
        "and for TLS reports (`rua=` in their TLSRPT records, RFC 8460). What comes there is delivered like other "
        "mail, and read: `mailgate dmarc summary` and `mailgate transport report` show it. Empty: none is.",
        examples=["dmarc@acme.example"],
    )
