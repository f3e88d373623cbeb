"""A next hop of long ago: stunnel in front of smtp-sink, TLS 1.2 with static RSA only."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.certificates import Issued
from tests.support.clock import eventually
from tests.support.components import program
from tests.support.ports import free_port

_CONFIGURATION = """\
foreground = yes
pid =
output = {root}/stunnel.log
debug = info
[smtp]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{behind}
protocol = smtp
cert = {chain}
key = {key}
sslVersionMax = TLSv1.2
ciphers = AES128-GCM-SHA256
"""


class StunnelHop:
    """`identity` needs an RSA key. It takes mail on `port`."""

    def __init__(self, root: Path, identity: Issued) -> None:
        self._root = root
        self.port, self._behind = free_port(), free_port()
        values = {"root": root, "port": self.port, "behind": self._behind}
        (root / "stunnel.conf").write_text(_CONFIGURATION.format(chain=identity.chain, key=identity.key, **values))
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        commands = [
            [program("smtp-sink") or "smtp-sink", "-u", "nobody", f"127.0.0.1:{self._behind}", "100"],
            [program("stunnel") or "stunnel", str(self._root / "stunnel.conf")],
        ]
        for command in commands:
            self._running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        eventually(lambda: "Configuration successful" in self.log(), "stunnel")

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
            process.wait()

    def log(self) -> str:
        path = self._root / "stunnel.log"
        return path.read_text() if path.exists() else ""
