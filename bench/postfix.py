"""Postfix with clamav-milter on loopback, set up from bench/peers: what the gateway is measured against."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from pathlib import Path

from tests.support.clock import eventually
from tests.support.components import program
from tests.support.ports import free_port
from tests.support.smtp import Address

PEERS = Path(__file__).parent / "peers"
STOCK_SERVICES = Path("/usr/share/postfix/master.cf.dist")


class Postfix:
    """Needs root. `root` is a folder that every account may pass through; `clamd` is `unix:PATH`."""

    def __init__(self, root: Path, clamd: str) -> None:
        self.root = root
        self.address: Address = ("127.0.0.1", free_port())
        self.maildir = root / "mail" / "bob"
        self._milter: subprocess.Popen[bytes] | None = None
        self._prepare(clamd)

    def _prepare(self, clamd: str) -> None:
        for name in ("etc", "queue", "data", "mail", "log"):
            (self.root / name).mkdir()
        owner = pwd.getpwnam("nobody")
        os.chown(self.root / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(self.root / "mail", owner.pw_uid, -1)
        values = {"ROOT": str(self.root), "CLAMD": clamd, "UID": str(owner.pw_uid), "GID": str(owner.pw_gid)}
        for template, target in (("main.cf.in", "etc/main.cf"), ("clamav-milter.conf.in", "milter.conf")):
            text = re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], (PEERS / template).read_text())
            (self.root / target).write_text(text)
        (self.root / "etc" / "master.cf").write_text(self._services())

    def _services(self) -> str:
        """The stock services without chroot, with smtpd on our port."""
        lines = []
        for line in STOCK_SERVICES.read_text().splitlines():
            fields = line.split(None, 7)
            if line[:1].strip() and not line.startswith("#") and len(fields) == 8:
                fields[4] = "n"
                if fields[0] == "smtp" and fields[1] == "inet":
                    fields[0] = f"{self.address[0]}:{self.address[1]}"
                line = " ".join(fields)
            lines.append(line)
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        milter = program("clamav-milter")
        assert milter, "clamav-milter is not installed"
        with (self.root / "log" / "milter.out").open("wb") as output:
            self._milter = subprocess.Popen(
                [milter, "-c", str(self.root / "milter.conf")], stdout=output, stderr=output, start_new_session=True
            )
        eventually((self.root / "milter.sock").exists, "the socket of clamav-milter")
        self._postfix("start")

    def _postfix(self, verb: str) -> None:
        postfix = program("postfix")
        assert postfix, "postfix is not installed"
        subprocess.run([postfix, "-c", str(self.root / "etc"), verb], check=True, capture_output=True)

    def stop(self) -> None:
        self._postfix("stop")
        if self._milter is not None:
            self._milter.kill()
            self._milter.wait()
