"""What relay and store ask of each other about reports to other domains; part of `ipc.calls`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from mailgate.model.dmarc import Counted
from mailgate.model.envelope import TenantName


class GetDmarcReport(Struct, tag=True, frozen=True):
    """From the relay: what is the next DMARC report of a day before `before` to be made, after the one of `day`,
    `tenant` and `domain`? Answered by DmarcReportDue, or by Done where there is none. Days since 1970 (UTC)."""

    before: int
    day: int = -1
    tenant: TenantName = TenantName("")
    domain: str = ""


class DmarcReportDue(Struct, tag=True, frozen=True):
    """`domain` is whose policy it is about; `counted`: the most frequent first; `senders`: the tenant's domains, in
    whose name it may be sent."""

    day: int
    tenant: TenantName
    domain: str
    counted: tuple[Counted, ...]
    senders: tuple[str, ...]


class OwnReport(Struct, frozen=True):
    """A report as mail to one address."""

    recipient: str
    content: bytes
    message_id: str


class KeepReport(Struct, tag=True, frozen=True):
    """From the relay: keep these mails (none: nobody wants the report), all about `domain` and `day`, once only: what
    was kept before is not kept again. Answered by Done. They are sent in the name of a domain of `tenant`."""

    kind: Literal["dmarc", "tls"]
    day: int
    tenant: TenantName
    domain: str
    mails: tuple[OwnReport, ...] = ()
