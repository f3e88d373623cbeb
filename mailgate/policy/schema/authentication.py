"""What mail from outside must prove."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailgate.model.decision import Action
from mailgate.policy.schema.section import Section
from mailgate.policy.values import DomainSet, Flag, RuleAction


class Authentication(Section):
    """What happens to mail from outside by who it says it is from (SPF, DKIM, DMARC, ARC)."""

    check: Flag = Field(
        default=True, description="Check the senders of mail from outside; `false` spares the DNS lookups."
    )
    dmarc_reject: RuleAction = Field(
        default=Action.REJECT,
        description="Mail that fails DMARC where the author's domain asks for `p=reject`: `reject`, `quarantine` or "
        "`accept`.",
    )
    dmarc_quarantine: RuleAction = Field(
        default=Action.QUARANTINE, description="The same where the author's domain asks for `p=quarantine`."
    )
    malformed_from: RuleAction = Field(
        default=Action.REJECT,
        description="Mail with several From fields, or one that mail programs read in different ways, so that DMARC "
        "can't be applied to what people will see.",
    )
    dns_failure: Literal[Action.ACCEPT, Action.DEFER] = Field(
        default=Action.ACCEPT,
        description="Mail whose author can't be checked since the DNS does not answer: `accept`, or `defer` to let "
        "the sender try again.",
    )
    trusted_sealers: DomainSet = Field(
        default=(),
        description="Forwarders such as mailing lists whose word counts: where DMARC fails, but their ARC seal says "
        "that it passed when the message came to them, the message is accepted.",
    )
