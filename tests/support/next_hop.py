"""A real Postfix as the next hop, on four ports: TLS offered, TLS required, no TLS, always 450."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tests.support.certificates import Issued
from tests.support.clock import eventually
from tests.support.components import program
from tests.support.ports import free_port

_MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
default_database_type = lmdb
myhostname = {name}
mydestination =
inet_interfaces = {address}
inet_protocols = ipv4
maillog_file = {root}/log
maillog_file_prefixes = {root}
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_relay_restrictions = permit_auth_destination, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{{{nobody@hop.example = 550 5.1.1 no such user}}}}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtputf8_enable = yes
smtpd_peername_lookup = no
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions = static:all
default_process_limit = 100
in_flow_delay = 0
"""
_SERVICES = """\
{address}:{offered} inet n - n - - smtpd
{address}:{required} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
{address}:{none} inet n - n - - smtpd -o smtpd_tls_security_level=none
{address}:{deferring} inet n - n - - smtpd -o smtpd_recipient_restrictions=defer
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class PostfixHop:
    """Needs root. `offered`, `required`, `none` and `deferring` are ports on `address`; what it takes for `domains`
    lies in one Maildir. `nobody@hop.example` is not known. `more` is added to main.cf."""

    def __init__(self, root: Path, identity: Issued, domains: str, address: str = "127.0.0.1", more: str = "") -> None:
        self.root = root
        self.address = address
        self.offered, self.required, self.none, self.deferring = (free_port() for _ in range(4))
        self.new = root / "mail" / "box" / "new"
        for folder in ("etc", "queue", "data", "mail"):
            (root / folder).mkdir()
        owner = pwd.getpwnam("nobody")
        os.chown(root / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(root / "mail", owner.pw_uid, -1)
        values = {
            "root": root,
            "address": address,
            "name": "mx.hop.example",
            "domains": domains,
            "uid": owner.pw_uid,
            "gid": owner.pw_gid,
            "chain": identity.chain,
            "key": identity.key,
            "offered": self.offered,
            "required": self.required,
            "none": self.none,
            "deferring": self.deferring,
        }
        (root / "etc" / "main.cf").write_text(_MAIN.format(**values) + more)
        (root / "etc" / "master.cf").write_text(_SERVICES.format(**values))

    def start(self) -> None:
        self._postfix("start")

    def stop(self) -> None:
        self._postfix("stop")
        shutil.rmtree(self.root, ignore_errors=True)

    def _postfix(self, verb: str) -> None:
        postfix = program("postfix")
        assert postfix, "postfix is not installed"
        done = subprocess.run([postfix, "-c", str(self.root / "etc"), verb], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()

    def log(self) -> str:
        path = self.root / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def received(self, token: str) -> bytes:
        """The message with `token` in it, awaited."""

        def find() -> bytes | None:
            paths = self.new.iterdir() if self.new.is_dir() else ()
            return next((data for data in (path.read_bytes() for path in paths) if token.encode() in data), None)

        found = eventually(find, f"a message with {token} at the next hop\n{self.log()[-2000:]}")
        assert found is not None
        return found
