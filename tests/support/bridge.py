"""An authenticating bridge: lets dialogues written for an open server run inside an authenticated submission."""

from __future__ import annotations

import contextlib
import socket
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
        with client, contextlib.suppress(OSError, AssertionError):
            upstream = submission(self._upstream, self._user, self._password)
            with upstream:
                client.sendall(b"220 bridge.example ESMTP\r\n")
                back = threading.Thread(target=self._answers, args=(upstream.socket, client), daemon=True)
                back.start()
                with contextlib.suppress(OSError):
                    while data := client.recv(65536):
                        upstream.send(data)
                # a close alone would not end the connection while the other thread reads from it
                upstream.socket.shutdown(socket.SHUT_RDWR)
                back.join()

    @staticmethod
    def _answers(upstream: socket.socket, client: socket.socket) -> None:
        """A close upstream is passed on as a close, so that the client sees it at once."""
        with contextlib.suppress(OSError):
            while data := upstream.recv(65536):
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
