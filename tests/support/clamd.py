"""A real clamd in a folder of its own, with a database written here: EICAR and the file of clamav-testfiles."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.support.clock import eventually
from tests.support.components import TESTFILES, program
from tests.support.messages import EICAR

EICAR_NAME = "Test.Eicar"
TESTFILE_NAME = "Test.ClamFile"

_CONFIG = """\
Foreground yes
LogFile {root}/clamd.log
LogTime yes
DatabaseDirectory {root}/db
TemporaryDirectory {temporary}
LocalSocket {root}/clamd.sock
LocalSocketMode 666
FixStaleSocket yes
MaxThreads 4
MaxQueue 200
ReadTimeout 60
CommandReadTimeout 30
StreamMaxLength 100M
MaxScanSize 400M
MaxFileSize 400M
MaxRecursion 17
MaxFiles 10000
MaxScanTime 120000
AlertExceedsMax yes
AlertEncrypted yes
AlertEncryptedArchive yes
AlertEncryptedDoc yes
ConcurrentDatabaseReload yes
SelfCheck 3600
Bytecode no
"""


def write_database(folder: Path) -> None:
    """EICAR anywhere in a file and as a whole file; the harmless test file by its hash where it is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "eicar.ndb").write_text(f"{EICAR_NAME}:0:*:{EICAR.hex()}\n")
    hashes = [f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:{EICAR_NAME}"]
    with contextlib.suppress(FileNotFoundError):
        sample = (TESTFILES / "clam.exe").read_bytes()
        hashes.append(f"{hashlib.md5(sample).hexdigest()}:{len(sample)}:{TESTFILE_NAME}")
    (folder / "test.hdb").write_text("".join(f"{line}\n" for line in hashes))


class Clamd:
    """`root` must be short (a Unix socket lies in it) and open to the account of the inspectors. `temporary`: a folder
    for what clamd unpacks, another than one in `root`."""

    def __init__(self, root: Path, temporary: Path | None = None) -> None:
        self.root = root
        self.socket = root / "clamd.sock"
        self._process: subprocess.Popen[bytes] | None = None
        write_database(root / "db")
        (root / "tmp").mkdir(exist_ok=True)
        (root / "clamd.conf").write_text(_CONFIG.format(root=root, temporary=temporary or root / "tmp"))

    def configure(self, **options: str) -> None:
        """Lines of clamd.conf, for the next start, in place of those with the same name."""
        config = self.root / "clamd.conf"
        kept = [line for line in config.read_text().splitlines() if line.split(" ")[0] not in options]
        config.write_text("".join(f"{line}\n" for line in (*kept, *map(" ".join, options.items()))))

    @property
    def endpoint(self) -> str:
        return f"unix:{self.socket}"

    @property
    def process_id(self) -> int:
        assert self._process is not None, "clamd is not running"
        return self._process.pid

    def start(self) -> None:
        binary = program("clamd")
        assert binary, "clamd is not installed"
        with (self.root / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [binary, "-c", str(self.root / "clamd.conf")], stdout=output, stderr=output, start_new_session=True
            )
        eventually(self._answers, f"clamd in {self.root}")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"clamd ended: {(self.root / 'output').read_text()}"
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(self.socket))
                sock.sendall(b"zPING\0")
                return sock.recv(16).startswith(b"PONG")
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)
