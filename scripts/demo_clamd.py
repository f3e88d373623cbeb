"""A scanner for `make run`: with freshclam's database where there is one, else with one that knows EICAR alone."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FRESHCLAM = Path("/var/lib/clamav")
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
TIED = ("setpriv", "--pdeathsig=TERM")  # what runs behind it ends with this process, however that ends
RELIED_ON = Path(__file__).parents[1] / "packaging" / "clamd" / "clamd.conf"
START_SECONDS = 180  # the real database takes a while to load

CONFIG = """\
Foreground yes
LogFile {folder}/clamd.log
DatabaseDirectory {database}
TemporaryDirectory {folder}/tmp
LocalSocket {folder}/clamd.sock
LocalSocketMode 666
"""


class DemoClamd:
    """Runs until `stop`. Its folder lies under /tmp, where the inspectors' account can reach the socket."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailgate-clamd-"))
        self.has_real_database = any(FRESHCLAM.glob("main.c[lv]d")) and any(FRESHCLAM.glob("daily.c[lv]d"))
        database = FRESHCLAM if self.has_real_database else self._write_test_database()
        (self.folder / "tmp").mkdir()
        self.folder.chmod(0o755)
        config = self.folder / "clamd.conf"
        config.write_text(CONFIG.format(folder=self.folder, database=database) + RELIED_ON.read_text())
        self.process = subprocess.Popen(
            [*TIED, *self._account(), _program(), "--config-file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def endpoint(self) -> str:
        return f"unix:{self.folder}/clamd.sock"

    def wait(self) -> None:
        """Until it answers; SystemExit with its log where it does not."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = self.folder / "clamd.log"
                sys.exit(f"clamd did not start:\n{log.read_text() if log.exists() else ''}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_test_database(self) -> Path:
        folder = self.folder / "db"
        folder.mkdir()
        (folder / "eicar.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
        return folder

    def _account(self) -> list[str]:
        """As root it runs under Debian's account for it: it reads what strangers send."""
        try:
            account = pwd.getpwnam("clamav")
        except KeyError:
            return []
        if os.geteuid() != 0:
            return []
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        return ["--reuid=clamav", "--regid=clamav", "--init-groups"]

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(5)
                probe.connect(str(self.folder / "clamd.sock"))
                probe.sendall(b"zPING\0")
                return probe.recv(16).startswith(b"PONG")
        except OSError:
            return False


def _program() -> str:
    """Debian puts clamd where only root's PATH leads."""
    found = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return found or sys.exit("clamd is not installed: apt-get install clamav-daemon")
