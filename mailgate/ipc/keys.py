"""What proves to the store who speaks: a key for each of our processes, by an inherited descriptor, and one in a file
for the command line. The account alone proves nothing: whoever is taken over may have it too."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

EDGE, RELAY, SUPERVISOR = "edge", "relay", "supervisor"
_BYTES = 32
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

Keys = Mapping[str, bytes]
"""By role."""


def make_keys() -> dict[str, bytes]:
    return {role: secrets.token_bytes(_BYTES) for role in (EDGE, RELAY, SUPERVISOR)}


def to_inherit(keys: Keys) -> int:
    """The descriptor of a file in memory that nobody can change, for the processes that are to have these keys."""
    descriptor = os.memfd_create("store-keys-" + "-".join(keys), os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, msgspec.msgpack.encode(keys))
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def inherited(descriptor: int) -> dict[str, bytes]:
    """The keys that were passed down; the descriptor is closed, and its place left alone, since others read it too."""
    try:
        return msgspec.msgpack.decode(os.pread(descriptor, 4096, 0), type=dict[str, bytes])
    finally:
        os.close(descriptor)


def file_of(admin_socket: Path) -> Path:
    """Where the key of the command line lies: beside its socket. A process that opens no files can't read it."""
    return admin_socket.with_suffix(".key")


def made_file(admin_socket: Path) -> bytes:
    """The key of the command line, made where there is none. For the account that owns the folder only."""
    path = file_of(admin_socket)
    if len(found := read_file(admin_socket)) == _BYTES:
        return found
    with suppress(FileNotFoundError):
        path.unlink()
    key = secrets.token_bytes(_BYTES)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    os.write(descriptor, key)
    os.close(descriptor)
    return key


def read_file(admin_socket: Path) -> bytes:
    """Empty where there is none, or none for us."""
    try:
        return file_of(admin_socket).read_bytes()
    except OSError:
        return b""
