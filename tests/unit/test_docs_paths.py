"""The pages for engineers name files and folders of this tree: all of them exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["architecture.md", "develop.md", "rfc-index.md", "senderauth.md", "transport.md"]
NAMED = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9.]*)`")
DRAWN = re.compile(r"^( +)([a-z_]+/)  ", re.MULTILINE)
PLACES = [ROOT, ROOT / "mailgate"]
MEDIA_TYPES = ("message/", "multipart/", "text/")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page: str) -> None:
    named = [path for path in NAMED.findall((ROOT / "docs" / page).read_text()) if not path.startswith(MEDIA_TYPES)]
    assert named
    assert [path for path in named if not any((place / path).exists() for place in PLACES)] == []


def test_every_folder_that_is_drawn_exists_and_none_is_left_out() -> None:
    """Each step to the right in the picture is a step down."""
    above: list[str] = []
    drawn = set()
    for indent, name in DRAWN.findall((ROOT / "docs" / "architecture.md").read_text()):
        depth = (len(indent) - 6) // 2
        above = [*above[:depth], name]
        drawn.add("".join(above))
    packages = {f"{path.parent.relative_to(ROOT / 'mailgate')}/" for path in (ROOT / "mailgate").rglob("__init__.py")}
    assert drawn == packages - {"./", "policy/schema/"}
