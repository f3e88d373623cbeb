"""A real Exim (GnuTLS) as the next hop, on four ports as Postfix is: TLS offered, TLS required, no TLS, always 450."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tests.support import maildir
from tests.support.certificates import Issued
from tests.support.clock import eventually
from tests.support.components import exim_program
from tests.support.ports import free_port

_CONFIGURATION = """\
exim_path = {root}/exim4
spool_directory = {root}/spool
log_file_path = {root}/%slog
pid_file_path = {root}/exim.pid
primary_hostname = mx.exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {offered} : {required} : {none} : {deferring}
exim_user = Debian-exim
exim_group = Debian-exim
never_users =
deliver_drop_privilege = true
keep_environment =
message_size_limit = {size_limit}
domainlist hosted = {domains}
tls_advertise_hosts = ${{if eq{{$received_port}}{{{none}}}{{}}{{*}}}}
tls_certificate = {root}/chain.pem
tls_privatekey = {root}/key.pem
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
host_lookup =
rfc1413_hosts =
smtp_accept_max = 100
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
begin acl
mail:
  deny message = 5.7.0 TLS first
    condition = ${{if eq{{$received_port}}{{{required}}}}}
    !encrypted = *
  accept
rcpt:
  defer message = 4.2.1 come again
    condition = ${{if eq{{$received_port}}{{{deferring}}}}}
  deny message = 5.1.1 no such user
    local_parts = nobody
  accept domains = +hosted
  deny message = 5.7.1 relay not permitted
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {root}/box
  maildir_format
  return_path_add
  user = Debian-exim
"""


class EximHop:
    """Needs root. `offered`, `required`, `none` and `deferring` are ports on 127.0.0.1; what it takes for `domains`
    lies in one Maildir. `size_limit` in bytes is what SIZE declares; `nobody@` is not known. `more` is put in front of
    the configuration."""

    def __init__(self, root: Path, identity: Issued, domains: str, size_limit: int = 2_000_000, more: str = "") -> None:
        self.root = root
        self.size_limit = size_limit
        self.offered, self.required, self.none, self.deferring = (free_port() for _ in range(4))
        owner = pwd.getpwnam("Debian-exim")
        for folder in ("spool", "box"):
            (root / folder).mkdir()
        for source, name in ((identity.chain, "chain.pem"), (identity.key, "key.pem")):
            shutil.copy(source, root / name)
        os.chown(root, owner.pw_uid, owner.pw_gid)
        for path in root.iterdir():
            os.chown(path, owner.pw_uid, owner.pw_gid)
        # the program, too, must be within reach of that account
        shutil.copy(exim_program() or "exim4", root / "exim4")
        values = {
            "root": root,
            "domains": " : ".join(domains.split(", ")),
            "size_limit": size_limit,
            "offered": self.offered,
            "required": self.required,
            "none": self.none,
            "deferring": self.deferring,
        }
        (root / "exim.conf").write_text(more + _CONFIGURATION.format(**values))

    def start(self) -> None:
        command = [str(self.root / "exim4"), "-C", str(self.root / "exim.conf"), "-bdf"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._listens, f"Exim to listen\n{self.log()}")

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"Exim ended with {self._process.returncode}\n{self.log()}"
        return (self.root / "exim.pid").exists()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.root.glob("*log")))

    def received(self, token: str) -> bytes:
        """The message with `token` in it, awaited."""
        return maildir.wait_for(self.root / "box", token)
