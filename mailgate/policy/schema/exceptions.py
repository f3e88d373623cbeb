"""Exceptions: what is taken although something speaks against it, for a reason and until a date."""

from __future__ import annotations

import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Digests, DomainPatterns, Globs, Texts

_UNSCANNED = ("Heuristics.Limits.Exceeded", "Heuristics.Encrypted")  # clamd's words for what it could not scan
_Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _exact(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if any(char in "*?[]" or char.isspace() for char in name):
            raise PydanticCustomError("signature", "is not the exact name of one signature; `mailgate trace` shows it")
        if name.startswith(_UNSCANNED):
            raise PydanticCustomError(
                "signature", "stands for a part that could not be scanned, and no exception lets such a part pass"
            )
    return names


class DatedException(Section):
    """What every exception must say."""

    reason: _Line = Field(description="Why; timelines show it.")
    expires: datetime.date = Field(description="The last day on which it holds (UTC), e.g. `2027-03-31`.")


class SenderException(DatedException):
    """A domain whose mail is taken although DMARC fails, for a reason and until a date."""

    domains: DomainPatterns = Field(
        alias="domain", description="The author's domain (in From); `*.` stands for all names below."
    )


class PartException(DatedException):
    """What exceptions for single parts have in common. All conditions that one gives must hold."""

    made_by: _Line = Field(description="Who decided it, e.g. `admin@acme.example`; timelines show it.")
    digests: Digests = Field(
        default=(),
        alias="digest",
        description="SHA-256 of the decoded part, as `mailgate trace` and `mailgate scan` show it. What is inside the "
        "part is included.",
    )
    senders: Globs = Field(
        default=(),
        alias="sender",
        description="Reverse-path (envelope sender): a glob. Anyone can claim an address on inbound mail.",
    )
    recipients: Globs = Field(
        default=(), alias="recipient", description="Forward-path (envelope recipient): a glob; for each recipient."
    )


class AttachmentException(PartException):
    """An attachment that rules do not stop, for a reason and until a date. It needs at least one condition."""

    rules: Texts = Field(
        default=(),
        alias="rule",
        description="The names of the rules that do not count, e.g. `no programs`; without it all rules.",
    )

    @model_validator(mode="after")
    def _has_condition(self) -> Self:
        if not self.model_fields_set & {"digests", "senders", "recipients", "rules"}:
            raise PydanticCustomError("narrow", "has no condition; add digest, rule, sender or recipient")
        return self


class ScannerException(PartException):
    """A false positive of the scanner, for a reason and until a date. It needs a digest or the exact name of a
    signature. It never lets a part pass that could not be scanned, and without a digest none that holds other files."""

    signatures: Annotated[Texts, AfterValidator(_exact)] = Field(
        default=(),
        alias="signature",
        description="The exact name of the signature, as `mailgate trace` shows it. Without a digest it counts for the "
        "message as a whole and for single files, not for archives and what else holds files: the scanner stops at "
        "its first finding.",
    )

    @model_validator(mode="after")
    def _is_narrow(self) -> Self:
        if not self.digests and not self.signatures:
            raise PydanticCustomError(
                "narrow", "names neither a digest nor a signature; an exception from the scanner needs one"
            )
        return self
