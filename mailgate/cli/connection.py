"""How a command reaches the gateway: through the admin socket where one runs, else directly on the data directory."""

from __future__ import annotations

import os
import socket
import time
from typing import Any, Protocol

from mailgate.ipc.calls import Admin, Result
from mailgate.ipc.frames import call_once
from mailgate.model.errors import UnavailableError
from mailgate.ops import layout
from mailgate.settings import Settings, load

PATIENCE = 5.0
"""Seconds to wait for a gateway that is starting, or for another command."""


class Gateway(Protocol):
    """`call` returns plain JSON values, and raises UserError, NotFoundError, ConflictError or UnavailableError."""

    def call(self, command: str, **arguments: Any) -> Any: ...


def admin(settings: Settings | None = None) -> Gateway:
    """Each call finds out anew whether a gateway runs."""
    return _Commands(settings or load())


def is_running(settings: Settings) -> bool:
    """True where a gateway listens on the admin socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(os.fspath(settings.admin_path))
        except OSError:
            return False
    return True


class _Commands:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def call(self, command: str, **arguments: Any) -> Any:
        deadline = time.monotonic() + PATIENCE
        while True:
            if is_running(self._settings):
                answer = call_once(self._settings.admin_path, Admin(command, arguments))
                return answer.value if isinstance(answer, Result) else None
            layout.prepare(self._settings)
            try:
                held = layout.lock(self._settings.data_dir, patience=0)
            except layout.InUseError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(f"{error} (it does not answer on {self._settings.admin_path})") from None
                time.sleep(0.05)
                continue
            try:
                return self._directly(command, arguments)
            finally:
                os.close(held)

    def _directly(self, command: str, arguments: dict[str, Any]) -> Any:
        # imported late: a command that goes through the socket has no use for the databases
        from mailgate.store import admin as store_admin

        return store_admin.run_alone(self._settings, command, arguments)
