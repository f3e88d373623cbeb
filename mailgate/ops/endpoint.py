"""HTTP for the operator's machines: `/metrics` for Prometheus, `/healthz` for load balancers and service managers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mailgate.ops.checks import Check, Status
from mailgate.records import log, metrics

SECONDS_A_REQUEST = 10

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


def _server(bound: socket.socket, endpoint: Endpoint) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS_A_REQUEST
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

    server = ThreadingHTTPServer(bound.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    bound.setblocking(True)
    server.socket = bound
    server.daemon_threads = True
    return server
