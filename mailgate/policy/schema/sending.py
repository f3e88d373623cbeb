"""Servers of a tenant that send through the gateway."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Fingerprint, Networks, OwnDomainSet, names_domain


class SendingCertificate(Section):
    """A client certificate that lets a server of the tenant in, whatever its address: MX asks for one in STARTTLS. It
    may be self-signed, since it is known by its fingerprint; one that has expired is refused."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f\"]+$")] = Field(
        description="What timelines and replies call it, e.g. `server in Hamburg`."
    )
    sha256: Fingerprint | None = Field(
        default=None,
        description="The SHA-256 fingerprint of the certificate; `openssl x509 -noout -fingerprint -sha256 -in FILE` "
        "prints it.",
    )
    public_key: Fingerprint | None = Field(
        default=None,
        description="Instead: the SHA-256 of its public key, which outlives renewals with the same key; "
        "`openssl x509 -noout -pubkey -in FILE | openssl pkey -pubin -outform DER | sha256sum` prints it.",
    )
    domains: OwnDomainSet = Field(
        alias="domain",
        default=(),
        description="The domains of the tenant under which this server may send, if not all; `*.` stands for all names "
        "below.",
    )

    @model_validator(mode="after")
    def _is_one_pin(self) -> Self:
        if (self.sha256 is None) == (self.public_key is None):
            raise PydanticCustomError("pin", "needs sha256 or public_key, one of both")
        return self

    def fits(self, sha256: str, public_key: str) -> bool:
        """Both in hexadecimal, in small letters."""
        return self.sha256 == sha256 if self.sha256 is not None else self.public_key == public_key

    def covers(self, domain: str) -> bool:
        """Whether a server known by it may send under `domain`, as far as the list goes; the null reverse-path is an
        empty one."""
        return not self.domains or not domain or names_domain(self.domains, domain)


class Sending(Section):
    """Servers of the tenant that send through the gateway, known by their address or by a client certificate. From
    them MX takes mail to everybody if its reverse-path is at one of the tenant's domains (or null, where the server is
    in the lists of one tenant only)."""

    networks: Networks = Field(
        default=(),
        description='Addresses or ranges such as `"192.0.2.0/24"`, only in a tenant\'s file. Name those that '
        "nobody else can send from.",
    )
    line_feed_networks: Networks = Field(
        default=(),
        description="Addresses or ranges of devices that end every line in a bare LF, as some scanners and scripts do: "
        "commands, the message and its end. Only in a tenant's file, and only for devices that write their mail "
        "themselves: a server that passes on what strangers wrote would let them smuggle messages in. (Users who have "
        "logged in and all that is in `networks` may have bare LF inside a message without this.)",
    )
    certificates: tuple[SendingCertificate, ...] = Field(
        default=(), description="Client certificates, each as `[[sending.certificates]]`, only in a tenant's file."
    )
