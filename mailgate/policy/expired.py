"""Exceptions whose last day is over: they do nothing, and should leave the files."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

from mailgate.policy.effective import GATEWAY_FILE, tenant_file
from mailgate.policy.problems import Problem, dotted
from mailgate.policy.schema import LISTS, DatedException, TenantPolicy
from mailgate.policy.snapshot import Snapshot
from mailgate.policy.toml_lines import TomlLines


def expired(policy_dir: Path, snapshot: Snapshot, today: datetime.date) -> list[Problem]:
    """One remark for each exception that is over on `today` (UTC); `snapshot` was just loaded from `policy_dir`."""
    policies: dict[str, TenantPolicy] = {GATEWAY_FILE: snapshot.gateway}
    policies |= {tenant_file(tenant): own for tenant, own in snapshot.tenants.items()}
    return sorted(remark for name, policy in policies.items() for remark in _expired(policy_dir / name, policy, today))


def _expired(file: Path, policy: TenantPolicy, today: datetime.date) -> Iterator[Problem]:
    over = [
        (name, number, exception.expires)
        for name in sorted(LISTS)
        for number, exception in enumerate(getattr(policy, name))
        if isinstance(exception, DatedException) and exception.expires < today
    ]
    lines = TomlLines(file.read_text("utf-8-sig")) if over else None
    for name, number, day in over:
        assert lines is not None
        text = f"{dotted((name, number))} expired on {day} and does nothing; remove it, or decide anew"
        yield Problem(str(file), lines.line((name, number)), text)
