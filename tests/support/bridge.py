"""An authenticating bridge: lets dialogues written for an open server run inside an authenticated submission."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from tests.support.smtp import Address, submission


class Bridge:
    """Each connection to `address` is passed on to one of its own upstream, after STARTTLS, EHLO and AUTH there.

    The client sees a greeting of the bridge's, then the server's answers byte for byte."""

    def __init__(self, upstream: Address, user: str, password: str) -> None:
        self._upstream, self._user, self._password = upstream, user, password
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address: Address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError, AssertionError),
            submission(self._upstream, self._user, self._password) as upstream,
        ):
            client.sendall(b"220 bridge.example ESMTP\r\n")
            self._pass_on(client, upstream.socket)

    @staticmethod
    def _pass_on(client: socket.socket, upstream: socket.socket) -> None:
        """Until either end closes. One thread for both ways: a TLS connection takes no two at a time."""
        while True:
            pending = isinstance(upstream, ssl.SSLSocket) and upstream.pending()
            readable, _, _ = select.select([client, upstream], [], [], 0 if pending else None)
            for source, target in ((client, upstream), (upstream, client)):
                if source in readable or (pending and source is upstream):
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)
