"""Every socket of the gateway, bound in one place before anything starts, so that a second instance fails loudly.

systemd may bring the public ones (LISTEN_FDS), told apart by FileDescriptorName=: see PUBLIC.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailgate.model.errors import UserError
from mailgate.settings import Listen, Settings

EDGE = ("mx", "submission", "submissions", "sts")
PUBLIC = (*EDGE, "metrics")
BACKLOG = 2048
LONGEST_UNIX_PATH = 107
_FIRST_SYSTEMD_FD = 3


@dataclass(frozen=True, slots=True)
class Listeners:
    """`public` by name (see PUBLIC); `store` and `admin` for the store; `inspectors[i]` for inspector i."""

    public: dict[str, list[socket.socket]]
    store: socket.socket
    admin: socket.socket
    inspectors: list[socket.socket] = field(default_factory=list)

    def addresses(self) -> dict[str, list[str]]:
        """Where each public listener really listens (port 0 in the settings means any free one)."""
        return {name: [_address(sock) for sock in bound] for name, bound in self.public.items() if bound}

    def close_public(self) -> None:
        """What still comes is refused by the kernel; whoever inherited a copy must close that too."""
        for name in EDGE:
            for sock in self.public[name]:
                sock.close()

    def close(self) -> None:
        for sock in [self.store, self.admin, *self.inspectors, *(s for bound in self.public.values() for s in bound)]:
            sock.close()


def bind(settings: Settings, environ: Mapping[str, str] | None = None) -> Listeners:
    """All sockets, or UserError that lists every one that can't be had."""
    errors: list[str] = []
    inherited = from_systemd(os.environ if environ is None else environ)
    public = {
        name: inherited.get(name) or _bind_all(name, getattr(settings, f"{name}_listen"), errors) for name in PUBLIC
    }
    unix = [
        _bind_unix(path, errors)
        for path in (
            settings.store_path,
            settings.admin_path,
            *(settings.inspector_path(number) for number in range(settings.inspectors)),
        )
    ]
    ready = [sock for sock in unix if sock is not None]
    if errors:
        for sock in [*ready, *(sock for bound in public.values() for sock in bound)]:
            sock.close()
        raise UserError("listeners:\n  " + "\n  ".join(errors))
    return Listeners(public, ready[0], ready[1], ready[2:])


def from_systemd(environ: Mapping[str, str]) -> dict[str, list[socket.socket]]:
    """Sockets passed by systemd, by name (sd_listen_fds(3)); empty where there are none for this process."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {}
    for number in range(int(environ.get("LISTEN_FDS", "0"))):
        name = names[number] if number < len(names) else ""
        if name not in PUBLIC:
            raise UserError(
                f"systemd passed a socket named {name!r}: FileDescriptorName= must be one of {', '.join(PUBLIC)}"
            )
        sock = socket.socket(fileno=_FIRST_SYSTEMD_FD + number)
        sock.setblocking(False)
        found.setdefault(name, []).append(sock)
    return found


def _bind_all(name: str, listens: list[Listen], errors: list[str]) -> list[socket.socket]:
    bound: list[socket.socket] = []
    for listen in listens:
        try:
            bound += _bind_tcp(listen)
        except OSError as error:
            errors.append(f"MAILGATE_{name.upper()}_LISTEN {listen}: {_explain(error, listen.port)}")
    return bound


def _bind_tcp(listen: Listen) -> list[socket.socket]:
    if not listen.host:
        if socket.has_dualstack_ipv6():
            return [
                socket.create_server(("::", listen.port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
            ]
        return [socket.create_server(("", listen.port), backlog=BACKLOG)]
    found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            bound.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
        except OSError:
            for sock in bound:
                sock.close()
            raise
    for sock in bound:
        sock.setblocking(False)
    return bound


def _explain(error: OSError, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is taken by another program; stop it or choose another port"
        case errno.EACCES:
            return f"port {port} needs root or CAP_NET_BIND_SERVICE; start as root or choose a port from 1024"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address"
        case _:
            return error.strerror or str(error)


def _bind_unix(path: Path, errors: list[str]) -> socket.socket | None:
    """The data directory is locked by us: a socket file that is there was left by a gateway that is gone."""
    if len(os.fsencode(path)) > LONGEST_UNIX_PATH:
        errors.append(f"{path}: longer than {LONGEST_UNIX_PATH} bytes; choose a shorter MAILGATE_DATA_DIR")
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(BACKLOG)
    except OSError as error:
        errors.append(f"{path}: {error.strerror}")
        sock.close()
        return None
    sock.setblocking(False)
    return sock


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return str(Listen(host, port))
