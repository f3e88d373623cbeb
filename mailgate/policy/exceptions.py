"""Exceptions for single parts made ready for matching: whom they concern, which parts they cover."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailgate.model.decision import ExceptionUse
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import WHOLE_MESSAGE, PartReport, Verdict
from mailgate.policy.globs import fits, glob_pattern
from mailgate.policy.rules import Rule
from mailgate.policy.schema import AttachmentException, PartException, ScannerException

_FOUND = {Verdict.INFECTED: "infected with", Verdict.SUSPICIOUS: "suspicious:"}
_HOLDS_FILES = (PartClass.ARCHIVE, PartClass.DISK_IMAGE, PartClass.ENCRYPTED)


@dataclass(frozen=True, slots=True, eq=False)
class Exemption:
    """One exception of one file. `label` is what decisions call it: `tenants/acme.toml: scanner_exceptions[2]`."""

    label: str
    settings: PartException
    _senders: re.Pattern[str]
    _recipients: re.Pattern[str]

    def holds(self, reverse_path: str, day: datetime.date) -> bool:
        """For mail from this sender on this day (UTC), recipients apart."""
        return day <= self.settings.expires and fits(self._senders, reverse_path)

    def concerns(self, forward_path: str) -> bool:
        """Whether the condition on recipients holds for this one."""
        return fits(self._recipients, forward_path)

    def use(self, part: PartReport, waived: str) -> ExceptionUse:
        """The record that `waived` did not count for `part`."""
        settings = self.settings
        return ExceptionUse(
            self.label, part.place, waived, settings.made_by, settings.reason, settings.expires.isoformat()
        )


@dataclass(frozen=True, slots=True, eq=False)
class AttachmentExemption(Exemption):
    """From attachment rules."""

    rules: tuple[str, ...]

    def covers(self, digest: str, rule: Rule) -> bool:
        """Whether `rule` does not count for a part. `digest` is that of the part, or of what holds it."""
        is_meant = not self.rules or rule.settings.name in self.rules
        return is_meant and (not self.settings.digests or digest in self.settings.digests)


@dataclass(frozen=True, slots=True, eq=False)
class ScannerExemption(Exemption):
    """From the verdicts *infected* and *suspicious*. clamd stops at its first finding, so without a digest what else a
    file holds has not been looked at: an exemption by signature covers single files, and the whole message, whose parts
    all have verdicts of their own."""

    signatures: tuple[str, ...]

    def covers(self, part: PartReport, has_members: bool) -> bool:
        """Whether the verdict on `part` does not count."""
        if self.signatures and part.signature not in self.signatures:
            return False
        if self.settings.digests:
            return part.digest in self.settings.digests
        return not has_members and not any(holds in part.classes for holds in _HOLDS_FILES)


def attachment_exemption(settings: AttachmentException, file: str, number: int) -> AttachmentExemption:
    """`number` counts from 1, as people do."""
    return AttachmentExemption(
        f"{file}: attachment_exceptions[{number}]",
        settings,
        glob_pattern(settings.senders),
        glob_pattern(settings.recipients),
        settings.rules,
    )


def scanner_exemption(settings: ScannerException, file: str, number: int) -> ScannerExemption:
    """`number` counts from 1, as people do."""
    return ScannerExemption(
        f"{file}: scanner_exceptions[{number}]",
        settings,
        glob_pattern(settings.senders),
        glob_pattern(settings.recipients),
        settings.signatures,
    )


def families(parts: Sequence[PartReport]) -> Iterator[tuple[PartReport, ...]]:
    """Each part of the message with what was found inside it. Only members of containers have no digest of their
    own, and they come right after their container."""
    family: list[PartReport] = []
    for part in parts:
        if family and family[0].digest and not part.digest and part.place.startswith(f"{family[0].place}/"):
            family.append(part)
            continue
        if family:
            yield tuple(family)
        family = [part]
    if family:
        yield tuple(family)


def false_positives(
    parts: Sequence[PartReport], exemptions: Sequence[ScannerExemption]
) -> Mapping[PartReport, ExceptionUse]:
    """The infected and suspicious parts whose verdict does not count, members of containers included. One that holds
    anything not scanned, or encrypted, is never among them. The whole message is, where its finding is excepted by
    name, or is that of a part which is among them."""
    if not exemptions:
        return {}
    found: dict[PartReport, ExceptionUse] = {}
    signatures: dict[str, ExceptionUse] = {}
    for family in families(parts):
        part, has_members = family[0], len(family) > 1
        if part.verdict not in _FOUND or any(map(_is_unscanned, family)):
            continue
        exemption = next((each for each in exemptions if each.covers(part, has_members)), None)
        waived = f"{_FOUND[part.verdict]} {part.signature}"
        if exemption is not None:
            use = exemption.use(part, waived)
            found |= dict.fromkeys(family, use)
            signatures[part.signature] = use
        elif part.place == WHOLE_MESSAGE and part.signature and part.signature in signatures:
            use = signatures[part.signature]
            found[part] = ExceptionUse(use.rule, part.place, waived, use.made_by, use.reason, use.expires)
    return found


def _is_unscanned(part: PartReport) -> bool:
    return part.encrypted or part.verdict is Verdict.NOT_SCANNED
