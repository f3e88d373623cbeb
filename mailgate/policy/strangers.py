"""Policy files for tenants that do not exist. A file may be there before its tenant; but it may be misspelt, too."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path

from mailgate.policy.effective import tenant_file
from mailgate.policy.problems import Problem
from mailgate.policy.snapshot import Snapshot


def strangers(policy_dir: Path, snapshot: Snapshot, tenants: Collection[str]) -> list[Problem]:
    """One remark for each file whose tenant is not among `tenants`, those that exist."""
    return [
        Problem(str(policy_dir / tenant_file(name)), 1, _text(name, tenants))
        for name in sorted(snapshot.tenants)
        if name not in tenants
    ]


def _text(name: str, tenants: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(tenants), n=1)
    hint = f"; did you mean {near[0]}.toml?" if near else "; it will once the tenant is made"
    return f"there is no tenant {name}, so nothing in this file holds{hint}"
