"""`make run`: a scanner, a demo tenant and the gateway in the foreground, then a short screen with what to try.

Settings in the environment, or in the file that MAILGATE_CONFIG names, count here too; without any, everything is on
loopback and below var/.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from mailgate import settings as settings_module
from mailgate.cli.connection import admin
from mailgate.model.errors import ConflictError, MailgateError
from mailgate.settings import Listen, Settings
from scripts.demo_clamd import TIED, DemoClamd

TENANT, DOMAIN = "demo", "demo.example"
PEOPLE = (f"alice@{DOMAIN}", f"bob@{DOMAIN}")

SCREEN = """
mailgate is ready.  Ctrl-C stops it.

  mail from outside (MX)     {mx}
  mail programs, STARTTLS    {submission}
  mail programs, TLS         {submissions}
  metrics, health            http://{metrics}/metrics  http://{metrics}/healthz
  log                        {log}
  scanner                    MAILGATE_CLAMD={clamd}  (`mailgate doctor` wants to know)

  demo logins                {people}
  password                   {password}

Try, in another terminal:

  .venv/bin/python -m scripts.demo_send attachment       a clean mail with an attachment to {bob}: delivered
  .venv/bin/python -m scripts.demo_send eicar            the same with a test virus: refused
  ls -l "$(.venv/bin/mailgate mailbox path {bob})/new"   what arrived
"""

WARNING = """
!!! WARNING: there is no virus database in /var/lib/clamav. The scanner knows the EICAR test file ONLY and finds
!!! nothing else. Run `freshclam` as root, then start again.
"""


def main() -> int:
    try:
        settings = settings_module.load()
        password = prepare(settings)
    except MailgateError as error:
        return refuse(str(error))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    clamd = None if "clamd" in settings.model_fields_set else DemoClamd()
    try:
        return serve(settings, clamd, password)
    except KeyboardInterrupt:
        return 0
    finally:
        if clamd is not None:
            clamd.stop()


def prepare(settings: Settings) -> str:
    """The demo tenant and its people; returns the password, which stays the same from run to run."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = settings.data_dir / "demo-password"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(12) + "\n")
    password = kept.read_text().strip()
    gateway = admin(settings)
    with suppress(ConflictError):  # an earlier run made it
        gateway.call("tenant.add", name=TENANT, domains=[DOMAIN])
    for login in PEOPLE:
        with suppress(ConflictError):
            gateway.call("user.add", tenant=TENANT, login=login, password=password)
    return password


def serve(settings: Settings, clamd: DemoClamd | None, password: str) -> int:
    """Until Ctrl-C; the gateway's exit code."""
    environ = dict(os.environ)
    if clamd is not None:
        clamd.wait()
        environ["MAILGATE_CLAMD"] = clamd.endpoint
    log = settings.data_dir / "mailgate.log"
    with log.open("ab") as out:
        start = out.tell()
        gateway = subprocess.Popen(
            [*TIED, sys.executable, "-m", "mailgate", "serve"], env=environ, stdout=out, stderr=out, process_group=0
        )
    try:
        if not wait_until_ready(gateway, log, start):
            return refuse(f"the gateway did not start:\n{log.read_bytes()[start:].decode()}", gateway.returncode)
        if clamd is not None and not clamd.has_real_database:
            say(WARNING)
        say(screen(settings, password, log, environ.get("MAILGATE_CLAMD", ",".join(settings.clamd))))
        return gateway.wait()
    finally:
        if gateway.poll() is None:
            gateway.terminate()
            gateway.wait()


def wait_until_ready(gateway: subprocess.Popen[bytes], log: Path, start: int) -> bool:
    while gateway.poll() is None:
        if b"mailgate is ready" in log.read_bytes()[start:]:
            return True
        try:
            gateway.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    return False


def screen(settings: Settings, password: str, log: Path, clamd: str) -> str:
    def shown(listens: list[Listen]) -> str:
        return ", ".join(map(str, listens)) or "-"

    return SCREEN.format(
        mx=shown(settings.mx_listen),
        submission=shown(settings.submission_listen),
        submissions=shown(settings.submissions_listen),
        metrics=settings.metrics_listen[0] if settings.metrics_listen else "-",
        log=log,
        clamd=clamd,
        people=", ".join(PEOPLE),
        bob=PEOPLE[1],
        password=password,
    )


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def refuse(text: str, code: int | None = 2) -> int:
    sys.stderr.write(f"make run: {text}\n")
    return code or 1


if __name__ == "__main__":
    sys.exit(main())
