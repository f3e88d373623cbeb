"""How a command reaches the gateway: through the admin socket where one runs, else directly on the data directory."""

from __future__ import annotations

import codecs
import getpass
import os
import socket
import time
import warnings
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from mailgate.ipc.calls import Admin, Answer, Challenge, GetChallenge, LogIn, Prove, Result
from mailgate.ipc.frames import Calls, converse
from mailgate.model.errors import UnavailableError, UserError
from mailgate.ops import layout, privacy
from mailgate.settings import Settings, load
from mailgate.tenancy.logins import operator_keys

PATIENCE = 5.0
"""Seconds to wait for a gateway that is starting, or for another command."""
FIRST_COMMANDS = frozenset({"tenant.add", "operator.add"})
"""What makes a data directory; every other command is about something that is there."""

_acting_as = ""


class Gateway(Protocol):
    """`call` returns plain JSON values, and raises UserError, NotFoundError, ConflictError or UnavailableError."""

    def call(self, command: str, **arguments: Any) -> Any: ...


def admin(settings: Settings | None = None, patience: float | None = None) -> Gateway:
    """Each call finds out anew whether a gateway runs; it waits `patience` seconds for the answer of one that does."""
    return _Commands(settings or load(), patience)


def is_running(settings: Settings) -> bool:
    """True where a gateway listens on the admin socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(os.fspath(settings.admin_path))
        except OSError:
            return False
    return True


def is_user() -> bool:
    """True where commands are given by a user, not by an operator."""
    return bool(_acting_as)


def act_as(login: str) -> None:
    """Every command from now on is given by this user, who has a password."""
    global _acting_as
    _acting_as = login


@cache
def _password(file: Path | None) -> bytes:
    """Asked for once, however many calls a command makes."""
    if file is not None:
        return _read(file).split(b"\n", 1)[0].removesuffix(b"\r")
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"Password of {_acting_as}: ").encode("utf-8", "surrogatepass")
        except getpass.GetPassWarning:
            raise UserError(
                f"no terminal to ask for the password of {_acting_as}: name a file with it in MAILGATE_PASSWORD_FILE"
            ) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _load_program() -> None:
    """Before root changes to the account of the data: that one may not be able to read the program's own files."""
    import alembic.command  # noqa: F401

    import mailgate.store.commands.offline  # noqa: F401

    codecs.lookup("utf-8-sig")


class _Commands:
    def __init__(self, settings: Settings, patience: float | None) -> None:
        self._settings = settings
        self._patience = patience

    def call(self, command: str, **arguments: Any) -> Any:
        try:
            return self._call(command, arguments)
        except UnicodeEncodeError:
            raise UserError("an argument is not UTF-8 text: type it anew, or set the terminal to UTF-8") from None

    def _call(self, command: str, arguments: dict[str, Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while True:
            if is_running(self._settings):
                talk = partial(self._talk, Admin(command, arguments))
                answer = converse(self._settings.admin_path, talk, self._patience)
                return answer.value if isinstance(answer, Result) else None
            if _acting_as:
                raise UnavailableError("no gateway runs, and --as needs one; the owner of its files works without it")
            if not (command in FIRST_COMMANDS or layout.holds_data(self._settings.data_dir)):
                raise UnavailableError(
                    f"no gateway runs, and {self._settings.data_dir.absolute()} holds no data of one: set "
                    "MAILGATE_DATA_DIR, or make the first tenant: mailgate tenant add"
                )
            if os.geteuid() == 0:
                _load_program()
            with privacy.as_owner(self._settings.data_dir):
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

    async def _talk(self, request: Admin, calls: Calls) -> Answer:
        """Logs in, then gives the command."""
        if _acting_as:
            await calls.call(LogIn(_acting_as, _password(self._settings.password_file)))
        elif self._settings.operator_key is not None:
            challenge = await calls.call(GetChallenge())
            assert isinstance(challenge, Challenge)
            await calls.call(Prove(operator_keys.sign(_read(self._settings.operator_key), challenge.nonce)))
        return await calls.call(request)

    def _directly(self, command: str, arguments: dict[str, Any]) -> Any:
        # imported late: a command that goes through the socket has no use for the databases
        from mailgate.store.commands import offline as store_admin

        return store_admin.run_alone(self._settings, command, arguments)
