"""Attachment rules: what they can ask for, and what they do."""

from __future__ import annotations

import enum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Extensions, Flag, Globs, PartClasses, Placements, RuleAction, Size, listed


class RuleDirection(enum.StrEnum):
    """The way of a message to one recipient: INTERNAL mail never leaves, OUTBOUND does."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


_Directions = Annotated[
    tuple[RuleDirection, ...],
    Field(min_length=1),
    BeforeValidator(listed, json_schema_input_type=RuleDirection | tuple[RuleDirection, ...]),
]


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
        description="What the bytes are: `executable`, `script`, `macro`, `archive`, `encrypted`, "
        "`end-to-end-encrypted`, `disk-image`, `shortcut`.",
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
    placements: Placements = Field(
        default=(),
        alias="place",
        description="Where the part is: `attachment` of the message itself, `message` (inside an attached message), "
        "`archive` (inside an archive, a disk image or a document), or `body`: the text that people read as the "
        "message itself, at which other rules do not look.",
    )
    directions: _Directions = Field(
        default=(),
        alias="direction",
        description="`inbound`: mail from outside; `outbound`: submitted by the tenant's users to somebody elsewhere; "
        "`internal`: submitted by the tenant's users to one of the tenant's own domains here.",
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
