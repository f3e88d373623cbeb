"""Attachment rules made ready for matching: globs compiled once, names read the way a careless program would."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailgate.model.decision import Action
from mailgate.model.part_class import PartClass
from mailgate.model.placement import Placement
from mailgate.model.verdict import WHOLE_MESSAGE, PartReport, Unscanned
from mailgate.policy.globs import fits, glob_pattern
from mailgate.policy.schema import AttachmentRule, RuleDirection

# Windows ignores dots, blanks and an NTFS stream name at the end of a file name: `a.exe. ` runs.
# Read from the end, so that each character is looked at once.
_IGNORED_END = re.compile(r"(?:atad\$::|[\s.\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060\ufeff])*+")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule of one file. `label` is what decisions call it: `tenants/acme.toml: attachments[2] "no programs"`."""

    label: str
    settings: AttachmentRule
    _types: re.Pattern[str]
    _filenames: re.Pattern[str]
    _senders: re.Pattern[str]
    _recipients: re.Pattern[str]
    _extensions: tuple[str, ...]

    @property
    def action(self) -> Action:
        return self.settings.action

    def is_from(self, reverse_path: str) -> bool:
        """Whether the condition on the sender holds."""
        return fits(self._senders, reverse_path)

    def is_meant_for(self, way: RuleDirection) -> bool:
        """Whether the condition on the direction holds."""
        return not self.settings.directions or way in self.settings.directions

    def concerns(self, forward_path: str) -> bool:
        """Whether the condition on recipients holds for this one."""
        return fits(self._recipients, forward_path)

    def matches(self, part: PartReport) -> bool:
        """Whether all conditions on the part hold."""
        rule = self.settings
        encrypted = part.encrypted or part.reason in (Unscanned.ENCRYPTED, Unscanned.END_TO_END_ENCRYPTED)
        classes = {*part.classes, PartClass.ENCRYPTED} if encrypted else part.classes
        return (
            (rule.encrypted is None or rule.encrypted is encrypted)
            and (rule.larger_than is None or part.size > rule.larger_than)
            and (not rule.classes or any(wanted in classes for wanted in rule.classes))
            and fits(self._types, part.detected_type)
            and self._matches_place(part)
            and self._matches_name(part)
        )

    def _matches_place(self, part: PartReport) -> bool:
        """The same content may be at several places: one suffices to stop it, all are needed to accept it. A rule that
        names no place looks at attachments, wherever they are."""
        wanted = self.settings.placements
        if not is_attachment(part) and Placement.BODY not in wanted:
            return False
        enough = all if self.action is Action.ACCEPT else any
        return not wanted or (bool(part.placements) and enough(place in wanted for place in part.placements))

    def _matches_name(self, part: PartReport) -> bool:
        """Mail programs may show different names: one of them suffices to stop a part, all are needed to accept it."""
        enough = all if self.action is Action.ACCEPT else any
        names = {plain_name(name) for name in (part.name, *part.names)}
        return enough(
            (not self._extensions or name.endswith(self._extensions)) and fits(self._filenames, name) for name in names
        )


def compile_rule(settings: AttachmentRule, file: str, number: int) -> Rule:
    """`number` counts from 1, as people do."""
    return Rule(
        label=f'{file}: attachments[{number}] "{settings.name}"',
        settings=settings,
        _types=glob_pattern(settings.types),
        _filenames=glob_pattern(settings.filenames),
        _senders=glob_pattern(settings.senders),
        _recipients=glob_pattern(settings.recipients),
        _extensions=tuple(f".{extension.lstrip('.').casefold()}" for extension in settings.extensions),
    )


def plain_name(name: str) -> str:
    """The file name that rules look at: without folders, in small letters, without an end that Windows ignores."""
    plain = name[max(name.rfind("/"), name.rfind("\\")) + 1 :].casefold()
    ignored = _IGNORED_END.match(plain[::-1])
    assert ignored is not None
    return plain[: len(plain) - ignored.end()]


def is_attachment(part: PartReport) -> bool:
    """What attachment rules look at: all but text without a name, which is shown as the message's body. The whole
    message counts only for what the scanner found in it and no part accounts for."""
    if part.place == WHOLE_MESSAGE:
        return part.encrypted or bool(part.classes)
    return part.is_attachment or bool(part.name) or not part.detected_type.startswith("text/")
