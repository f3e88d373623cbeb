"""A real clamd with limits low enough to be hit cheaply, reachable by Unix socket and TCP."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.support.clamd import Clamd, write_database

STREAM_LIMIT = 2 << 20
SCAN_LIMIT = 16 << 20


class SmallClamd(Clamd):
    def __init__(self, root: Path, address: str = "127.0.0.1") -> None:
        super().__init__(root)
        self.address = address
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
            self.port: int = probe.getsockname()[1]
        self.configure(
            TCPSocket=str(self.port),
            TCPAddr=address,
            StreamMaxLength=str(STREAM_LIMIT),
            MaxScanSize=str(SCAN_LIMIT),
            MaxFileSize=str(SCAN_LIMIT),
        )

    @property
    def tcp_endpoint(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp:{host}:{self.port}"

    def forget_signatures(self) -> None:
        """A database that knows nothing of EICAR, as after a broken update."""
        for file in (self.root / "db").iterdir():
            file.unlink()
        (self.root / "db" / "other.hdb").write_text(f"{'0' * 32}:1:Test.Other\n")

    def restore_signatures(self) -> None:
        write_database(self.root / "db")
