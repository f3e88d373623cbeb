"""Files that mail clients find inside the content of a leaf, each with the defect that it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailgate.inspect import pgp
from mailgate.inspect.embedded import hidden
from mailgate.inspect.encapsulated import opened
from mailgate.inspect.members import Budget
from mailgate.inspect.textfiles import files_in_text

_WRAPPER_DEFECTS = {"tnef": "tnef", "cms": "opaque-signed", "pgp": "opaque-pgp"}  # any other: wrapped-file


@dataclass(frozen=True, slots=True)
class InnerFile:
    """`suffix`: of its place. `detail`: of the defect; without one, that there is such a file is none."""

    defect: str
    suffix: str
    content: bytes
    name: str = ""
    detail: str = ""


def wrapped_files(data: bytes, budget: Budget) -> Iterator[InnerFile]:
    """What `data` is a wrapper of. Raises LimitExceededError where the budget is used up."""
    for kind, (name, content) in opened(data, budget):
        yield InnerFile(_WRAPPER_DEFECTS.get(kind, "wrapped-file"), kind, content, name)


def written_files(text: bytes, budget: Budget) -> Iterator[InnerFile]:
    """Files written into a text. Raises LimitExceededError where the budget is used up."""
    for block in pgp.blocks(text):
        if pgp.is_encrypted(block):
            yield InnerFile("", "pgp", block)
        for name, content in pgp.literals(block, budget):
            yield InnerFile("opaque-pgp", "pgp", content, name)
    for kind, (name, content) in files_in_text(text):
        yield InnerFile("text-encoded-file", kind, content, name, kind)
    for defect, suffix, content in hidden(text):
        yield InnerFile(defect, suffix, content)
