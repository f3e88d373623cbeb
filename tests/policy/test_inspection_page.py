"""The examples in docs/inspection.md are policies that load, and mean what the text beside them says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailgate.model.decision import Action
from mailgate.model.defect import DEFECTS
from mailgate.model.envelope import Direction
from mailgate.model.verdict import PartReport
from mailgate.policy.evaluate import evaluate
from tests.policy.making import facts, part, policy, problems, write

PAGE = (Path(__file__).parents[2] / "docs" / "inspection.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_load(tmp_path: Path, example: str) -> None:
    assert problems(write(tmp_path, "", acme=example)) == []


def test_the_page_names_every_defect_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `([a-z0-9-]+)` \| [^|]+ \| `(scan|quarantine|reject)` \|$", PAGE, re.MULTILINE))
    assert listed == {name: policy().defect_action(name)[1].value for name in DEFECTS}


@pytest.mark.parametrize(
    ("name", "found", "direction", "action"),
    [
        ("no programs", part("a.txt", classes=("executable",), placements=("archive",)), "inbound", Action.REJECT),
        ("no hidden scripts", part(classes=("script",), placements=("archive",)), "inbound", Action.QUARANTINE),
        ("no hidden scripts", part(classes=("script",), placements=("attachment",)), "inbound", Action.ACCEPT),
        ("macros stay here", part(classes=("macro",)), "outbound", Action.REJECT),
        ("macros stay here", part(classes=("macro",)), "inbound", Action.ACCEPT),
    ],
)
def test_rules_do_what_the_page_says(name: str, found: PartReport, direction: str, action: Action) -> None:
    example = next(each for each in EXAMPLES if f'name = "{name}"' in each)
    assert evaluate(policy("", example), facts(found, direction=Direction(direction))).action is action
