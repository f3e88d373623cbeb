"""What really went over the wire: tcpdump on the loopback interface."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.clock import eventually
from tests.support.components import program

# A handshake record with a ServerHello: version, random, session id; then the suite that the server chose.
_SERVER_HELLO = re.compile(rb"\x16\x03[\x01-\x03]..\x02\x00..\x03\x03.{32}(?:\x00|\x20.{32})(..)", re.DOTALL)


class Capture:
    """All packets from and to one TCP port while it is entered; needs root. `content` is the packets' bytes then."""

    def __init__(self, folder: Path, port: int) -> None:
        self._file = folder / "capture.pcap"
        self._log = folder / "tcpdump.log"
        self._port = port
        self.content = b""

    def __enter__(self) -> Self:
        command = [
            program("tcpdump") or "tcpdump",
            "-i",
            "lo",
            "-U",
            "--immediate-mode",
            # room for hundreds of the longest packets on loopback: by default it is eight, and the rest is dropped
            *("-s", "66000", "-B", "65536"),
            "-w",
            str(self._file),
            "-Z",
            "root",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([*command, f"tcp port {self._port}"], stdout=log, stderr=log)
        eventually(lambda: b"listening on" in self._log.read_bytes(), "tcpdump")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._knock()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)
        log = self._log.read_text()
        assert "\n0 packets dropped by kernel" in log, log
        self.content = self._file.read_bytes()

    def _knock(self) -> None:
        """One more connection; once that has been written, all before it has."""
        with socket.socket() as last:
            last.bind(("127.0.0.1", 0))
            ports = struct.pack("!HH", last.getsockname()[1], self._port)
            last.connect_ex(("127.0.0.1", self._port))
        eventually(lambda: ports in self._file.read_bytes(), "the last packet in the capture")

    @property
    def suites(self) -> set[str]:
        """The cipher suites that the server agreed to, as four hexadecimal digits (IANA)."""
        return {found.hex() for found in _SERVER_HELLO.findall(self.content)}
