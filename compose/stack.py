"""The local stack for its test: a project, ports and a network of its own, beside any other stack on this machine."""

from __future__ import annotations

import imaplib
import json
import os
import random
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.support.components import REPOSITORY
from tests.support.ports import free_port
from tests.support.smtp import Address

PORTS = ("MX_PORT", "SUBMISSION_PORT", "SUBMISSIONS_PORT", "METRICS_PORT", "IMAP_PORT", "IMAPS_PORT")
# its database can't be had without the internet; clamd then knows the test virus alone
OFFLINE = ("--scale", "freshclam=0")


class Stack:
    def __init__(self) -> None:
        self.project = f"mailgate-test-{os.getpid()}"
        self._ports = {name: free_port() for name in PORTS}
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.project,
            "STACK_NETWORK": f"10.{random.randrange(64, 128)}.{random.randrange(256)}",
            "BUILD_NETWORK": "host",
            **{name: str(port) for name, port in self._ports.items()},
        }
        self._compose = _compose()

    def address(self, port: str) -> Address:
        return "127.0.0.1", self._ports[port]

    def compose(self, *words: str, stdin: str = "") -> str:
        """Standard output; AssertionError with everything that it printed where it fails."""
        done = subprocess.run(
            [*self._compose, *words],
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            env=self._environment,
            cwd=REPOSITORY,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def mailgate(self, *words: str, stdin: str = "") -> str:
        return self.compose("exec", "-T", "gateway", "mailgate", *words, stdin=stdin)

    def start(self) -> None:
        """Built from what lies here now; back once every service is well."""
        self.compose("build")
        self.compose("up", "--detach", *OFFLINE)

    def containers(self) -> dict[str, Any]:
        """What the engine says about each, by service."""
        ids = self.compose("ps", "--quiet").split()
        told = json.loads(subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True).stdout)
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in told}

    def is_well(self, service: str) -> bool:
        return bool(self.containers()[service]["State"]["Health"]["Status"] == "healthy")

    def remove(self) -> None:
        self.compose("down", "--volumes", "--timeout", "5")

    def mailbox(self, user: str, password: str) -> imaplib.IMAP4_SSL:
        """Logged in, INBOX selected; imaplib.IMAP4.error where the login is refused."""
        host, port = self.address("IMAPS_PORT")
        client = imaplib.IMAP4_SSL(host, port, ssl_context=_insecure(), timeout=30)
        client.login(user, password)
        client.select()
        return client


def found(client: imaplib.IMAP4, token: str) -> bytes:
    """The whole message with `token` in its subject, as the server has it; empty where there is none."""
    client.noop()
    _, [numbers] = client.search(None, "SUBJECT", token)
    if not numbers:
        return b""
    _, [fetched, *_] = client.fetch(numbers.split()[0].decode(), "(BODY.PEEK[])")
    assert isinstance(fetched, tuple)
    return bytes(fetched[1])


def is_ended(client: imaplib.IMAP4) -> bool:
    """Whether the server has ended the session."""
    try:
        client.noop()
    except imaplib.IMAP4.abort:
        return True
    return False


def _compose() -> Sequence[str]:
    """The plug-in where there is one, else the program of old."""
    plug_in = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
    if plug_in.returncode == 0:
        return ["docker", "compose"]
    program = shutil.which("docker-compose")
    assert program, "neither `docker compose` nor docker-compose is installed"
    return [program]


def _insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
