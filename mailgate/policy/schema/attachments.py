"""Attachment rules."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mailgate.model.envelope import Direction
from mailgate.policy.schema.section import Section
from mailgate.policy.values import Extensions, Flag, Globs, PartClasses, RuleAction, Size


class AttachmentRule(Section):
    """One rule. All conditions that it gives must hold for one and the same part; of a list any value will do."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f\"]+$")] = Field(
        description="What timelines call the rule, e.g. `no programs`."
    )
    action: RuleAction = Field(
        description="`reject` refuses the message, `quarantine` keeps it aside, `accept` ends the rules for this part."
    )
    reply: Annotated[str, StringConstraints(max_length=200, pattern=r"^[\x20-\x7e]*$")] = Field(
        default="", description="The text that the sender of a rejected message reads (plain ASCII), e.g. whom to ask."
    )
    classes: PartClasses = Field(
        default=(),
        alias="class",
        description="What the bytes are: `executable`, `script`, `macro`, `archive`, `encrypted`, `disk-image`, "
        "`shortcut`.",
    )
    types: Globs = Field(
        default=(),
        alias="type",
        description="Media type found from the bytes (what the sender declares plays no part): a glob.",
    )
    extensions: Extensions = Field(
        default=(), alias="extension", description="End of the file name, e.g. `exe` or `tar.gz`."
    )
    filenames: Globs = Field(
        default=(),
        alias="filename",
        description="The file name: a glob, e.g. `invoice*.zip`; `*` means every attachment.",
    )
    larger_than: Size | None = Field(default=None, description="Size of the decoded part above which the rule holds.")
    encrypted: Flag | None = Field(default=None, description="Whether the part is encrypted.")
    direction: Direction | None = Field(
        default=None, description="`inbound`: mail from outside; `outbound`: mail submitted by the tenant's users."
    )
    senders: Globs = Field(
        default=(),
        alias="sender",
        description="Reverse-path (envelope sender): a glob, e.g. `*@partner.example`; an empty text is the sender of "
        "bounces. Anyone can claim an address on inbound mail.",
    )
    recipients: Globs = Field(
        default=(),
        alias="recipient",
        description="Forward-path (envelope recipient): a glob; decided for each recipient.",
    )

    @model_validator(mode="after")
    def _has_condition(self) -> Self:
        if not self.model_fields_set - {"name", "action", "reply"}:
            raise PydanticCustomError(
                "no_condition", 'has no condition; add one (filename = "*" stands for every attachment)'
            )
        return self
