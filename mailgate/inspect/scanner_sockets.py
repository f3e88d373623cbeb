"""How an inspector gets its connections to the scanners: it can't make one, so it asks by the number of an endpoint,
and a process outside hands in a connected socket.

A question is one packet: its own number, the endpoint's, and the patience in milliseconds; so is the answer: the number
of the question and what went wrong, or a descriptor. An answer to another question was for an inspector that is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
from collections.abc import Callable, Sequence

from mailgate.settings import Listen

_QUESTION = struct.Struct("!IBI")
_ANSWER = struct.Struct("!I")
_LONGEST_TROUBLE = 200  # bytes
_LONGEST_PATIENCE = 30.0
_SLACK = 2.0  # seconds that an answer may be late

Connect = Callable[[str, float], socket.socket]
"""Connects to an endpoint within some seconds. Raises OSError."""


def directly(endpoint: str, seconds: float) -> socket.socket:
    """For who may connect: to `unix:PATH` or `tcp:HOST:PORT`, whose host is a name, an IPv4 or an IPv6 address."""
    kind, _, rest = endpoint.partition(":")
    if kind == "tcp":
        listen = Listen.parse(rest)
        connection = socket.create_connection((listen.host, listen.port), seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(rest)
    except OSError:
        connection.close()
        raise
    return connection


def channel() -> tuple[socket.socket, socket.socket]:
    """The end of who asks, and of who answers."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class ByRequest:
    """A Connect that asks over `link`; `endpoints` are those of whoever answers, in the same order."""

    def __init__(self, link: socket.socket, endpoints: Sequence[str]) -> None:
        self._link = link
        self._endpoints = list(endpoints)
        self._numbers = itertools.count(int.from_bytes(os.urandom(4)))

    def __call__(self, endpoint: str, seconds: float) -> socket.socket:
        number = next(self._numbers) & 0xFFFF_FFFF
        self._link.settimeout(seconds + _SLACK)
        self._link.send(_QUESTION.pack(number, self._endpoints.index(endpoint), max(1, int(seconds * 1000))))
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._link, _ANSWER.size + _LONGEST_TROUBLE, 1)
            if len(data) < _ANSWER.size:
                raise OSError("nobody connects to scanners any more")
            if data[: _ANSWER.size] == _ANSWER.pack(number):
                break
            for descriptor in descriptors:
                os.close(descriptor)
        if not descriptors:
            raise OSError(data[_ANSWER.size :].decode(errors="replace"))
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(seconds)
        return connection


def answer(link: socket.socket, endpoints: Sequence[str]) -> None:
    """Blocking, until the other end is gone: connect as asked, to `endpoints` and nothing else."""
    while True:
        try:
            question = link.recv(_QUESTION.size + 1)
        except OSError:
            return
        if not question:
            return
        if len(question) != _QUESTION.size:
            continue
        number, position, milliseconds = _QUESTION.unpack(question)
        with contextlib.suppress(OSError):  # who asked is gone; another inspector may follow
            _answer(link, number, endpoints[position : position + 1], min(milliseconds / 1000, _LONGEST_PATIENCE))


def _answer(link: socket.socket, number: int, asked: Sequence[str], seconds: float) -> None:
    try:
        if not asked:
            raise OSError("there is no such endpoint")
        with directly(asked[0], seconds) as connection:
            socket.send_fds(link, [_ANSWER.pack(number)], [connection.fileno()])
    except (OSError, UnicodeError) as error:  # UnicodeError: the name is none
        link.send(_ANSWER.pack(number) + str(error).encode()[:_LONGEST_TROUBLE])
