"""HTTP for the operator's machines: `/metrics` for Prometheus, `/healthz` for load balancers and service managers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from mailgate.ops.checks import Check, Status
from mailgate.records import log, metrics

SECONDS_A_REQUEST = 10
MOST_REQUESTS = 32  # at the same time; who comes then is hung up on
LONGEST_REQUEST = 16 << 10  # bytes of the request line and its header

logger = log.get(__name__)


class Endpoint:
    """Serves on sockets that are bound already; `expose` gives the metrics text, `examine` the health checks."""

    def __init__(self, expose: Callable[[], bytes], examine: Callable[[], list[Check]]) -> None:
        self.expose = expose
        self.examine = examine
        self._servers: list[ThreadingHTTPServer] = []

    def start(self, sockets: list[socket.socket]) -> None:
        """Threads of the supervisor, since a health check waits for the scanner; they end with the process."""
        for bound in sockets:
            server = _server(bound, self)
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for one GET."""
        match path.partition("?")[0]:
            case "/metrics":
                return 200, metrics.CONTENT_TYPE, self.expose()
            case "/healthz":
                checks = self.examine()
                is_well = all(check.status is not Status.FAIL for check in checks)
                body = {"status": "ok" if is_well else "failing", "checks": [check.as_json() for check in checks]}
                return 200 if is_well else 503, "application/json", json.dumps(body, indent=2).encode() + b"\n"
            case _:
                return 404, "text/plain; charset=utf-8", b"/metrics or /healthz\n"


class _Server(ThreadingHTTPServer):
    """A thread for each request, as the library does, but not more than MOST_REQUESTS."""

    daemon_threads = True

    def __init__(self, bound: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(bound.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        bound.setblocking(True)
        self.socket = bound
        self._free = threading.BoundedSemaphore(MOST_REQUESTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Beginning:
    """The first LONGEST_REQUEST bytes of a request, line by line; then it is at its end."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = LONGEST_REQUEST

    def readline(self, limit: int = -1) -> bytes:
        line = self._stream.readline(min(limit, self._left) if limit >= 0 else self._left)
        self._left -= len(line)
        return line

    def close(self) -> None:
        self._stream.close()


def _server(bound: socket.socket, endpoint: Endpoint) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS_A_REQUEST

        def setup(self) -> None:
            super().setup()
            self.rfile = _Beginning(self.rfile)  # type: ignore[assignment]

        server_version = "mailgate"
        sys_version = ""

        def do_GET(self) -> None:
            try:
                status, kind, body = endpoint.answer(self.path)
            except Exception:
                logger.exception("request for metrics or health failed")
                status, kind, body = 500, "text/plain; charset=utf-8", b"see the log\n"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Requests for metrics are no news."""

    return _Server(bound, Handler)
