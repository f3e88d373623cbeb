"""Short ways to policies, parts and facts for the tests of this folder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mailgate.model.envelope import Direction
from mailgate.model.verdict import Defect, Inspection, PartReport, Unscanned, Verdict
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.facts import Facts
from mailgate.policy.loader import PolicyErrors, load
from mailgate.policy.schema import GatewayPolicy, TenantPolicy, built_in
from mailgate.policy.snapshot import Snapshot

MIB = 1 << 20
SIZE_LIMIT = 50 * MIB


def snapshot(gateway: str = "", **tenants: str) -> Snapshot:
    """From TOML texts; wrong ones raise."""
    return Snapshot(
        built_in=built_in(SIZE_LIMIT),
        gateway=GatewayPolicy.model_validate(tomllib.loads(gateway)),
        tenants={name: TenantPolicy.model_validate(tomllib.loads(text)) for name, text in tenants.items()},
    )


def policy(gateway: str = "", tenant: str = "") -> EffectivePolicy:
    """What holds for a tenant `acme` with this file."""
    return snapshot(gateway, acme=tenant).for_tenant("acme")


def part(name: str = "", detected: str = "application/octet-stream", place: str = "1", **more: Any) -> PartReport:
    """A clean one, where `more` says nothing else."""
    values = {"declared_type": "", "size": 1000, "digest": "", "verdict": Verdict.CLEAN, **more}
    return PartReport(place=place, name=name, detected_type=detected, **values)


def infected(name: str = "", **more: Any) -> PartReport:
    return part(name, verdict=Verdict.INFECTED, **{"signature": "Eicar-Signature", **more})


def unscanned(reason: Unscanned | None, name: str = "", **more: Any) -> PartReport:
    return part(name, verdict=Verdict.NOT_SCANNED, reason=reason, **more)


def facts(*parts: PartReport, defects: tuple[str, ...] = (), **more: Any) -> Facts:
    """Of an inbound message to one recipient, where `more` says nothing else."""
    inspection = Inspection(parts=parts, defects=tuple(Defect(name, place="1") for name in defects))
    values = {
        "direction": Direction.INBOUND,
        "reverse_path": "alice@elsewhere.example",
        "recipients": ("bob@acme.example",),
        "size": 5000,
        "at": 1_800_000_000.0,  # 2027-01-15
        **more,
    }
    return Facts(inspection=inspection, **values)


def write(folder: Path, gateway: str | None, **tenants: str | bytes) -> Path:
    """A policy folder; `gateway` None leaves gateway.toml out."""
    (folder / "tenants").mkdir()
    if gateway is not None:
        (folder / "gateway.toml").write_text(gateway)
    for name, text in tenants.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "tenants" / f"{name}.toml").write_bytes(data)
    return folder


def problems(folder: Path, size_limit: int = SIZE_LIMIT) -> list[str]:
    """What `load` finds, as `file:line: text` with the file below `folder`; none where the folder is valid."""
    try:
        load(folder, size_limit)
    except PolicyErrors as errors:
        return [str(problem).removeprefix(f"{folder}/") for problem in errors.problems]
    return []
