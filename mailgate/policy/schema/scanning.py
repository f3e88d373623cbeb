"""What happens to infected mail, to mail that could not be scanned, and to mail with several readings."""

from __future__ import annotations

import enum

from pydantic import Field

from mailgate.model.decision import Action
from mailgate.policy.schema.section import Section
from mailgate.policy.values import DownAction, RuleAction, StopAction


class DefectAction(enum.StrEnum):
    """SCAN lets the verdicts decide: every reading of the message has been scanned."""

    SCAN = "scan"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class Scanning(Section):
    """What happens to infected and suspicious mail, and to submissions while no scanner answers."""

    infected: StopAction = Field(
        default=Action.REJECT,
        description="For a message with malware in it: `reject` refuses it in the dialogue, `quarantine` keeps it "
        "aside.",
    )
    suspicious: RuleAction = Field(
        default=Action.QUARANTINE,
        description="For a message in which the scanner suspects something without a signature of malware (phishing "
        "links, broken programs: `Heuristics.*`; unwanted ones: `PUA.*`): `quarantine` keeps it aside for an "
        "administrator, `accept` delivers it, marked as suspicious, `reject` refuses it in the dialogue.",
    )
    scanner_down: DownAction = Field(
        default=Action.DEFER,
        description="For submissions while the scanner can't answer: `defer` asks the mail program to try again, "
        "`hold` accepts and keeps the message until it has been scanned. Mail from outside is always deferred.",
    )


class UnscannedActions(Section):
    """What happens to a message with a part that could not be scanned. No attachment rule can let such a part pass."""

    limit: StopAction = Field(
        default=Action.QUARANTINE, description="A limit of size, number, depth or time ended the inspection of a part."
    )
    encrypted: StopAction = Field(
        default=Action.QUARANTINE,
        description="A part is encrypted, e.g. an archive with a password; nobody can look inside.",
    )
    encrypted_outbound: RuleAction = Field(
        default=Action.ACCEPT,
        description="The same in mail that a user, or a server of the tenant, sends to others outside of it. `accept` "
        "lets it pass, marked as not scanned; `quarantine` and `reject` stop it.",
    )
    end_to_end_encrypted: RuleAction = Field(
        default=Action.ACCEPT,
        description="A part is encrypted for its recipient by S/MIME, OpenPGP or age. `accept` lets it pass, marked as "
        "not scanned; `quarantine` and `reject` stop it, in both directions.",
    )
    worker: StopAction = Field(
        default=Action.QUARANTINE, description="The inspection of this message failed twice, whatever the reason."
    )
