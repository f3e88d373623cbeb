"""The ways in which the gateway is run: what stands in front of its command to be as there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT, UNIT, CONTAINER = "root", "unit", "container"
ACCOUNT = {ROOT: 0, UNIT: 12345, CONTAINER: 10000}

_REACHABLE = """\
mkdir -p {spare}
mount --bind {home} {spare}
mount -t tmpfs -o mode=755 none {closed}
mkdir -p {home}
mount --bind {spare} {home}
"""
_READ_ONLY = """\
mount --bind {root} {root}
mount -o remount,bind,ro /
"""
_IN_NAMESPACE = """\
set -e
mount --make-rprivate /
{mounts}
cd {root}
exec setpriv --reuid {uid} --regid {uid} --clear-groups --no-new-privs --inh-caps=-all --ambient-caps=-all \\
    --bounding-set=-all "$@"
"""


def prefix(deployment: str, root: Path) -> Sequence[str]:
    """As root: nothing. Like the systemd unit: an account of its own, no capabilities, no new privileges. Like the
    container: nothing can be written either, but below `root`."""
    if deployment == ROOT:
        return ()
    mounts = _interpreter(root) + (_READ_ONLY.format(root=root) if deployment == CONTAINER else "")
    return (
        "unshare",
        "--mount",
        "sh",
        "-c",
        _IN_NAMESPACE.format(mounts=mounts, root=root, uid=ACCOUNT[deployment]),
        "sh",
    )


def _interpreter(root: Path) -> str:
    """A development machine may have its Python in root's home, which no other account can enter."""
    home = Path(sys.base_prefix).resolve()
    closed = next((each for each in reversed(home.parents) if not each.stat().st_mode & 0o001), None)
    return "" if closed is None else _REACHABLE.format(spare=root / "python", home=home, closed=closed)
