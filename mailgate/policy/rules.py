"""Attachment rules made ready for matching: globs compiled once, names read the way a careless program would."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from mailgate.model.decision import Action
from mailgate.model.envelope import Direction
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import PartReport, Unscanned
from mailgate.policy.schema import AttachmentRule

# Windows ignores dots, blanks and an NTFS stream name at the end of a file name: `a.exe. ` runs.
_IGNORED_END = re.compile(r"(?:::\$data|[\s.\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060\ufeff])+$")
_FOLDER = re.compile(r"[^/\\]*[/\\]")


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

    def applies(self, direction: Direction, reverse_path: str) -> bool:
        """Whether the conditions on the envelope hold, recipients apart."""
        wanted = self.settings.direction
        return (wanted is None or wanted is direction) and _fits(self._senders, reverse_path)

    def concerns(self, forward_path: str) -> bool:
        """Whether the condition on recipients holds for this one."""
        return _fits(self._recipients, forward_path)

    def matches(self, part: PartReport) -> bool:
        """Whether all conditions on the part hold."""
        rule = self.settings
        encrypted = part.encrypted or part.reason is Unscanned.ENCRYPTED
        classes = {*part.classes, PartClass.ENCRYPTED} if encrypted else part.classes
        return (
            (rule.encrypted is None or rule.encrypted is encrypted)
            and (rule.larger_than is None or part.size > rule.larger_than)
            and (not rule.classes or any(wanted in classes for wanted in rule.classes))
            and _fits(self._types, part.detected_type)
            and self._matches_name(part)
        )

    def _matches_name(self, part: PartReport) -> bool:
        """Mail programs may show different names: one of them suffices to stop a part, all are needed to accept it."""
        enough = all if self.action is Action.ACCEPT else any
        names = {plain_name(name) for name in (part.name, *part.names)}
        return enough(
            (not self._extensions or name.endswith(self._extensions)) and _fits(self._filenames, name) for name in names
        )


def compile_rule(settings: AttachmentRule, file: str, number: int) -> Rule:
    """`number` counts from 1, as people do."""
    return Rule(
        label=f'{file}: attachments[{number}] "{settings.name}"',
        settings=settings,
        _types=_pattern(settings.types),
        _filenames=_pattern(settings.filenames),
        _senders=_pattern(settings.senders),
        _recipients=_pattern(settings.recipients),
        _extensions=tuple(f".{extension.lstrip('.').casefold()}" for extension in settings.extensions),
    )


def plain_name(name: str) -> str:
    """The file name that rules look at: without folders, in small letters, without an end that Windows ignores."""
    return _IGNORED_END.sub("", _FOLDER.sub("", name).casefold())


def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Matches what any of the globs matches; where there are none, everything."""
    return re.compile("|".join(fnmatch.translate(glob.casefold()) for glob in globs or ("*",)))


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.match(text.casefold()) is not None
