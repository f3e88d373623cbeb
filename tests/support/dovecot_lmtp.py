"""A real Dovecot that takes mail by LMTP, on a port of 127.0.0.1 and on a Unix socket."""

from __future__ import annotations

import pwd
import shutil
import subprocess
from pathlib import Path

from tests.support import maildir
from tests.support.certificates import Issued
from tests.support.clock import eventually
from tests.support.components import program
from tests.support.ports import free_port

_CONFIGURATION = """\
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
protocols = lmtp
default_internal_user = dovecot
default_login_user = dovenull
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_plugins = quota
passdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {root}/lmtp.sock {{
    mode = 0666
  }}
}}
plugin {{
  quota = maildir:mail
}}
"""


class DovecotLmtp:
    """Needs root. `users` are the addresses that it knows; those whose local part is `full` have no room left."""

    def __init__(self, root: Path, identity: Issued, *users: str) -> None:
        self.root = root
        self.port = free_port()
        self.socket = root / "lmtp.sock"
        owner = pwd.getpwnam("nobody")
        (root / "mail").mkdir()
        shutil.chown(root / "mail", owner.pw_uid)
        values = {"root": root, "chain": identity.chain, "key": identity.key, "port": self.port}
        (root / "dovecot.conf").write_text(_CONFIGURATION.format(**values))
        (root / "users").write_text(
            "".join(
                f"{user}:{{PLAIN}}x:{owner.pw_uid}:{owner.pw_gid}::{root}/mail/{user}::{_quota(user)}\n"
                for user in users
            )
        )

    def start(self) -> None:
        command = [program("dovecot") or "dovecot", "-F", "-c", str(self.root / "dovecot.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._listens, f"Dovecot to listen\n{self.log()}")

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"Dovecot ended with {self._process.returncode}\n{self.log()}"
        return self.socket.exists()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self) -> str:
        path = self.root / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def received(self, user: str, token: str) -> bytes:
        """The message with `token` in the mailbox of `user`, awaited."""
        return maildir.wait_for(self.root / "mail" / user / "Maildir", token)


def _quota(user: str) -> str:
    return "userdb_quota_rule=*:bytes=1" if user.startswith("full@") else ""
