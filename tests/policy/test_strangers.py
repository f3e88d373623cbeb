"""Policy files for tenants that do not exist, and hints for misspelt keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.policy.loader import PolicyErrors, load
from mailgate.policy.strangers import strangers


def folder_with(root: Path, gateway: str, **tenants: str) -> Path:
    (root / "tenants").mkdir()
    (root / "gateway.toml").write_text(gateway)
    for name, text in tenants.items():
        (root / "tenants" / f"{name}.toml").write_text(text)
    return root


def test_a_file_of_nobody_is_named_with_whom_it_may_be_meant_for(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "", acmee="[limits]\nrecipients = 10\n", globex="", brandnew="")
    found = [str(each) for each in strangers(folder, load(folder, 1 << 26), {"acme", "globex"})]
    files = f"{folder}/tenants"
    assert found == [
        f"{files}/acmee.toml:1: there is no tenant acmee, so nothing in this file holds; did you mean acme.toml?",
        f"{files}/brandnew.toml:1: there is no tenant brandnew, so nothing in this file holds; "
        "it will once the tenant is made",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[limits]\nrecipient = 10\n", "did you mean recipients?"),
        ("[limits]\nmessage_sise = 10\n", "did you mean message_size?"),
        ("[[attachments]]\nextensions = ['exe']\naction = 'reject'\nname = 'x'\n", "did you mean extension?"),
        ("[limits]\nlanguage = 'de'\n", "it belongs at the top of the file"),
        ("[unscanned]\nscanner_down = 1\n", "it belongs in [scanning]"),
        ("[limits]\nquarantine_days = 3\n", "it belongs in [retention]"),
    ],
)
def test_a_misspelt_key_stays_in_its_table(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(PolicyErrors) as caught:
        load(folder_with(tmp_path, text), 1 << 26)
    assert hint in str(caught.value)
