"""Starts the real gateway as its users do: `python -m mailgate serve`, and runs the real command line beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mailgate.ipc.calls import Admin, Result
from mailgate.ipc.frames import call_once
from tests.support import maildir, processes
from tests.support.clock import eventually
from tests.support.components import REPOSITORY
from tests.support.ports import free_port
from tests.support.smtp import Address, Answer, SmtpClient, deliver, submission

PASSWORD = "correct horse battery staple"
TENANTS = {
    "acme": ("acme.example", ("bob", "alice")),
    "globex": ("globex.example", ("carol",)),
    "tenant-a": ("tenant-a.example", ("user", "user2")),
}


def short_folder(prefix: str) -> Path:
    """A new folder that every account may pass through: Unix sockets need short paths, inspectors run as nobody."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o755)
    return folder


class Gateway:
    """One gateway with a data directory, policies, ports and log of its own under `root`.

    `settings` are added to the environment as MAILGATE_<NAME>. The log is everything the processes print."""

    def __init__(self, root: Path, clamd: str, **settings: str) -> None:
        self.root = root
        self.data_dir = root / "data"
        self.policy_dir = root / "policies"
        self.log_file = root / "gateway.log"
        self.mx: Address = ("127.0.0.1", free_port())
        self.submission: Address = ("127.0.0.1", free_port())
        self.submissions: Address = ("127.0.0.1", free_port())
        self.metrics: Address = ("127.0.0.1", free_port())
        self.environment = self._environment(clamd, settings)
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: Sequence[str] = ()  # what stands in front of the command, see `deployments`
        self._logged_before = 0
        self._maildirs: dict[str, Path] = {}
        if not self.policy_dir.exists():
            shutil.copytree(REPOSITORY / "policies", self.policy_dir)
        self.log_file.touch()

    def _environment(self, clamd: str, settings: Mapping[str, str]) -> dict[str, str]:
        def listen(address: Address) -> str:
            return f"{address[0]}:{address[1]}"

        ours = {
            "DATA_DIR": str(self.data_dir),
            "POLICY_DIR": str(self.policy_dir),
            "HOSTNAME": "mx.gateway.example",
            "MX_LISTEN": listen(self.mx),
            "SUBMISSION_LISTEN": listen(self.submission),
            "SUBMISSIONS_LISTEN": listen(self.submissions),
            "METRICS_LISTEN": listen(self.metrics),
            "CLAMD": clamd,
            "INSPECTORS": "2",
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILGATE_")}
        paths = [str(REPOSITORY), *filter(None, [inherited.get("PYTHONPATH")])]
        inherited["PYTHONPATH"] = os.pathsep.join(paths)
        return inherited | {f"MAILGATE_{name}": value for name, value in ours.items()}

    # The process

    def launch(self) -> None:
        """Starts the process and returns at once."""
        self._logged_before = self.log_file.stat().st_size
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "mailgate", "serve"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                cwd=self.root,
                start_new_session=True,
            )

    def start(self) -> None:
        self.launch()
        eventually(self._is_ready, f"the ready line of the gateway\n{self.log_since_start()}")

    def _is_ready(self) -> bool:
        assert self.process is not None
        log = self.log_since_start()
        assert self.process.poll() is None, f"the gateway ended with {self.process.returncode}:\n{log}"
        return "mailgate is ready" in log

    @property
    def pid(self) -> int:
        assert self.process is not None, "the gateway was not started"
        return self.process.pid

    def exit_code(self, seconds: float = 60.0) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """SIGTERM; asserts a clean end and a log without a traceback."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.exit_code()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not end the gateway:\n{self.log()[-3000:]}") from None
        self.process = None
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.log()[-3000:]}"
        self.assert_log_is_sane()

    def kill(self) -> None:
        """kill -9 to the supervisor and to whatever outlives it."""
        if self.process is None:
            return
        left = [self.process.pid, *processes.children(self.process.pid)]
        for pid in left:
            if processes.is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        eventually(lambda: not any(map(processes.is_alive, left)), "the gateway's processes to end")

    def kill_supervisor(self) -> None:
        """kill -9 to the supervisor only: its children must end by themselves."""
        assert self.process is not None
        left = processes.children(self.process.pid)
        self.process.kill()
        self.process.wait()
        self.process = None
        eventually(lambda: not any(map(processes.is_alive, left)), "the children of a dead supervisor to end")

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    # What it says

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def log_since_start(self) -> str:
        with self.log_file.open("rb") as log:
            log.seek(self._logged_before)
            return log.read().decode(errors="replace")

    def assert_log_is_sane(self) -> None:
        log = self.log()
        at = log.find("Traceback")
        assert at < 0, f"a traceback in the log:\n{log[max(0, at - 500) : at + 3000]}"

    def wait_for_log(self, text: str) -> None:
        eventually(lambda: text in self.log_since_start(), f"{text!r} in the log")

    # The command line

    def run(self, *arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command with the gateway's settings, whatever its exit code."""
        return subprocess.run(
            [sys.executable, "-m", "mailgate", *arguments],
            input=input,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.root,
            timeout=60,
            check=False,
        )

    def cli(self, *arguments: str, input: str | None = None) -> str:
        """The output of a command that must succeed."""
        done = self.run(*arguments, input=input)
        assert done.returncode == 0, f"mailgate {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.cli(*arguments, "--json"))

    def admin(self, command: str, **arguments: Any) -> Any:
        """A command of the running gateway without the start of a process, e.g. `mailbox.add`."""
        answer = call_once(self.data_dir / "run" / "admin.sock", Admin(command, arguments))
        assert isinstance(answer, Result)
        return answer.value

    def add_people(self) -> None:
        """The tenants and users of TENANTS, each with PASSWORD."""
        for tenant, (domain, users) in TENANTS.items():
            self.cli("tenant", "add", tenant, "--domain", domain)
            for user in users:
                self.cli("user", "add", tenant, f"{user}@{domain}", "--password-stdin", input=PASSWORD + "\n")

    def maildir(self, address: str) -> Path:
        if address not in self._maildirs:
            self._maildirs[address] = Path(self.cli("mailbox", "path", address).strip())
        return self._maildirs[address]

    # Mail

    def deliver(self, message: bytes, *recipients: str, sender: str = "sender@sender.example") -> Answer:
        """One inbound message on a connection of its own, to bob@acme.example where no recipient is given."""
        return deliver(self.mx, message, *(recipients or ("bob@acme.example",)), sender=sender)

    def connect(self) -> SmtpClient:
        """A client of MX after EHLO."""
        client = SmtpClient(self.mx)
        client.hello()
        return client

    def submit(self, user: str = "bob@acme.example", *, tls: bool = False) -> SmtpClient:
        return submission(self.submissions if tls else self.submission, user, PASSWORD, tls=tls)

    def delivered(self, address: str, token: str) -> bytes:
        """The one message with `token` in the mailbox of `address`, awaited."""
        return maildir.wait_for(self.maildir(address), token)
