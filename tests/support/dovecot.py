"""The Dovecot of the local stack, with the stack's own configuration, on ports and folders of one test."""

from __future__ import annotations

import base64
import imaplib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Self

from tests.support.certificates import Authority
from tests.support.clock import eventually
from tests.support.components import REPOSITORY, program
from tests.support.ports import free_port

STACK = REPOSITORY / "compose" / "dovecot"


class Dovecot:
    """`root`: a folder with a short name; `gateway`: where what scripts send goes out. The sockets that it shares
    with the gateway lie in `root/logins`.

    All of it runs under one account, as in the container. Started by root, it believes to be `mail` in a user namespace
    of its own: Dovecot opens no mailbox for root, and the files are root's."""

    def __init__(self, root: Path, gateway: tuple[str, int] = ("127.0.0.1", 9)) -> None:
        self.root = root
        self.sieve = free_port()
        self.lmtp_socket = root / "logins" / "lmtp.sock"
        self.imaps = free_port()
        self.login_socket = root / "logins" / "logins.sock"
        self.doveadm_socket = root / "logins" / "doveadm.sock"
        self._is_root = os.geteuid() == 0
        account = pwd.getpwnam("mail") if self._is_root else pwd.getpwuid(os.geteuid())
        self._map = [f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}"]
        replaced = {
            "/run/dovecot": str(root / "run"),
            "/run/logins": str(root / "logins"),
            "/etc/dovecot": str(root),
            "/dev/stderr": str(root / "log"),
            "mailgate": account.pw_name,
            "10000": str(account.pw_uid),
            "listen = *": "listen = 127.0.0.1",
            "port = 1143": f"port = {free_port()}",
            "port = 1993": f"port = {self.imaps}",
            "port = 4190": f"port = {self.sieve}",
            "gateway:2525": "{}:{}".format(*gateway),
        }
        (root / "run" / "tls").mkdir(parents=True)
        (root / "logins").mkdir()
        identity = Authority(root).issue("localhost")
        for name, made in (("chain.pem", identity.chain), ("key.pem", identity.key)):
            shutil.copy(made, root / "run" / "tls" / name)
        for name in ("dovecot.conf", "logins.lua"):
            text = (STACK / name).read_text()
            for before, after in replaced.items():
                text = text.replace(before, after)
            (root / name).write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        dovecot = program("dovecot")
        assert dovecot, "dovecot is not installed"
        command = [dovecot, "-F", "-c", str(self.root / "dovecot.conf")]
        self.doveadm_socket.unlink(missing_ok=True)  # of an earlier start
        if self._is_root:
            command = ["unshare", "--user", *self._map, *command]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=(self.root / "errors").open("wb"))
        eventually(self._is_up, "Dovecot to listen")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return self.doveadm_socket.exists()

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def log(self) -> str:
        return "".join(path.read_text() for path in (self.root / "log", self.root / "errors") if path.exists())

    def client(self) -> imaplib.IMAP4_SSL:
        """Connected, not logged in."""
        return imaplib.IMAP4_SSL("127.0.0.1", self.imaps, ssl_context=insecure_context(), timeout=30)

    def session(self, login: str, password: str) -> imaplib.IMAP4_SSL:
        """Logged in; imaplib.IMAP4.error where the login is refused."""
        client = self.client()
        client.login(login, password)
        return client


def listed(client: imaplib.IMAP4) -> list[str]:
    """Every mailbox that the session can open, named as on the wire (modified UTF-7)."""
    _, lines = client.list()
    found = [line.decode() for line in lines if isinstance(line, bytes) and b"\\Noselect" not in line]
    return [line.partition(' "/" ')[2].strip('"') for line in found]


def selected(client: imaplib.IMAP4, name: str, token: str) -> bool:
    """Opens the mailbox; whether a message with `token` in its subject lies there."""
    kind, _ = client.select(f'"{name}"')
    if kind != "OK":
        return False
    _, [numbers] = client.search(None, "SUBJECT", token)
    return bool(numbers)


class ManageSieve:
    """As much of RFC 5804 as a user needs to set a script."""

    def __init__(self, dovecot: Dovecot) -> None:
        plain = socket.create_connection(("127.0.0.1", dovecot.sieve), timeout=30)
        self._use(plain)
        self._answer()
        self._say("STARTTLS")
        self._use(insecure_context().wrap_socket(plain))
        self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def login(self, login: str, password: str) -> None:
        secret = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        self._say(f'AUTHENTICATE "PLAIN" "{secret}"')

    def put(self, name: str, script: str) -> None:
        """Stored and active from now on."""
        self._say(f'PUTSCRIPT "{name}" {{{len(script.encode())}+}}\r\n{script}')
        self._say(f'SETACTIVE "{name}"')

    def _use(self, stream: socket.socket) -> None:
        self._socket = stream
        self._lines = stream.makefile("rb")

    def _say(self, command: str) -> None:
        self._socket.sendall(f"{command}\r\n".encode())
        self._answer()

    def _answer(self) -> None:
        line = self._lines.readline()
        while line.startswith(b'"'):
            line = self._lines.readline()
        assert line.startswith(b"OK"), line


def insecure_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
