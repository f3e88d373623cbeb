"""Globs of policy files made ready for matching; capital and small letters are the same."""

from __future__ import annotations

import fnmatch
import re


def glob_pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Matches what any of the globs matches; where there are none, everything."""
    return re.compile("|".join(fnmatch.translate(glob.casefold()) for glob in globs or ("*",)))


def fits(pattern: re.Pattern[str], text: str) -> bool:
    """Whether all of the text matches a pattern made by `glob_pattern`."""
    return pattern.match(text.casefold()) is not None
