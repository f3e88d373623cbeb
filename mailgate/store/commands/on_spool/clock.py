"""Commands on the wall clock: what is in doubt about it, and that it is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailgate.model.envelope import TenantName
from mailgate.store.commands.on_spool.desk import Desk, Json


def _show(desk: Desk) -> Json:
    """{"now": by the store's clock, "doubted_since": seconds since 1970, or None, "shift": seconds}."""
    state = desk.listing.clock()
    is_in_doubt = state is not None and state.is_in_doubt
    doubted_since, shift = (state.doubted_since, state.shift) if state is not None and is_in_doubt else (None, 0.0)
    return {"now": desk.clock(), "doubted_since": doubted_since, "shift": shift}


def _confirm(desk: Desk) -> Json:
    """What was in doubt before; nothing is afterwards."""
    told, state = _show(desk), desk.listing.clock()
    if state is not None and state.is_in_doubt:
        desk.note(TenantName(""), "clock.confirm", "clock", {"shift": round(state.shift)})
        desk.write(lambda spool: spool.keep_clock(state.confirmed()))
        desk.clock_confirmed()
    return told


COMMANDS: dict[str, Callable[..., Any]] = {"clock.show": _show, "clock.confirm": _confirm}
