"""Knot as the authority of a signed, an unsigned and a bogus zone, and unbound as the resolver that validates them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.dnssec
import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.resolver

from tests.support.clock import eventually
from tests.support.components import program
from tests.support.ports import free_port

SIGNED, UNSIGNED, BOGUS = "signed.test", "unsigned.test", "bogus.test"

_KNOT = """\
server:
    rundir: {root}
    listen: 127.0.0.1@{port}
database:
    storage: {root}/db
log:
  - target: {root}/knot.log
    any: info
policy:
  - id: p
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {root}
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-policy: p
zone:
  - domain: {signed}
    dnssec-signing: on
  - domain: {bogus}
    dnssec-signing: on
  - domain: {unsigned}
"""
_UNBOUND = """\
server:
  interface: 127.0.0.1@{port}
  port: {port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{root}"
  pidfile: ""
  use-syslog: no
  logfile: "{root}/unbound.log"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor: "{anchor}"
  trust-anchor: "{wrong}"
  domain-insecure: "{unsigned}."
  local-zone: "test." nodefault
  local-zone: "example." static
  cache-max-negative-ttl: 0
  num-threads: 1
  val-override-date: "-1"
{stubs}
remote-control:
  control-enable: no
"""
_ZONE = """\
$ORIGIN {zone}.
$TTL 60
@ SOA ns.{zone}. h.{zone}. 1 3600 600 86400 60
@ NS ns.{zone}.
ns A 127.0.0.1
"""


class SignedNames:
    """`lines` of each zone are added to it. `endpoint` is the validating resolver."""

    def __init__(self, root: Path, lines: Mapping[str, str]) -> None:
        self._root = root
        self._knot_port, self._unbound_port = free_port(), free_port()
        self.endpoint = f"127.0.0.1:{self._unbound_port}"
        self._processes: list[subprocess.Popen[bytes]] = []
        (root / "db").mkdir()
        self._lines = {zone: lines.get(zone, "") for zone in (SIGNED, UNSIGNED, BOGUS)}
        for zone in self._lines:
            self._write(zone)
        names = {"signed": SIGNED, "unsigned": UNSIGNED, "bogus": BOGUS}
        (root / "knot.conf").write_text(_KNOT.format(root=root, port=self._knot_port, **names))

    def __enter__(self) -> Self:
        self._run("knotd", "-c", str(self._root / "knot.conf"))
        eventually(lambda: self._answers(self._knot_port), "knot")
        anchor = eventually(lambda: self._ds(SIGNED), "the key of the signed zone")
        stubs = "\n".join(
            f'stub-zone:\n  name: "{zone}."\n  stub-addr: 127.0.0.1@{self._knot_port}'
            for zone in (SIGNED, UNSIGNED, BOGUS)
        )
        (self._root / "unbound.conf").write_text(
            _UNBOUND.format(
                root=self._root,
                port=self._unbound_port,
                anchor=anchor,
                wrong=f"{BOGUS}. 3600 IN DS 4711 13 2 {'ab' * 32}",
                unsigned=UNSIGNED,
                stubs=stubs,
            )
        )
        self._run("unbound", "-c", str(self._root / "unbound.conf"))
        eventually(lambda: self._answers(self._unbound_port), "unbound")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()
        shutil.rmtree(self._root, ignore_errors=True)

    def publish(self, zone: str, name: str, *texts: str) -> None:
        """Adds a TXT record (TTL 0) with these strings to the zone, and waits until the resolver shows it."""
        strings = " ".join(f'"{text}"' for text in texts)
        self._lines[zone] += f"{name}. 0 TXT {strings}\n"
        self._write(zone)
        self._processes[0].send_signal(signal.SIGHUP)
        eventually(lambda: "".join(texts) in self.txt(name), f"{name} in the DNS")

    def txt(self, name: str) -> list[str]:
        """What the resolver says."""
        resolver = dns.resolver.Resolver(configure=False)
        host, _, port = self.endpoint.rpartition(":")
        resolver.nameservers, resolver.port = [host], int(port)
        try:
            found = resolver.resolve(f"{name.rstrip('.')}.", "TXT")
        except dns.exception.DNSException:
            return []
        return [b"".join(record.strings).decode() for record in found]

    def _write(self, zone: str) -> None:
        (self._root / f"{zone}.zone").write_text(_ZONE.format(zone=zone) + self._lines[zone])

    def _run(self, name: str, *arguments: str) -> None:
        path = program(name)
        assert path, f"{name} is not installed"
        with (self._root / f"{name}.out").open("wb") as output:
            self._processes.append(
                subprocess.Popen([path, *arguments], stdout=output, stderr=output, env=os.environ, cwd=self._root)
            )

    def _ds(self, zone: str) -> str:
        """The DS record of the zone's key, once knot has made it."""
        try:
            answer = dns.query.udp(dns.message.make_query(f"{zone}.", "DNSKEY"), "127.0.0.1", 1.0, self._knot_port)
        except dns.exception.Timeout:
            return ""
        keys = [key for rrset in answer.answer for key in rrset if rrset.rdtype.name == "DNSKEY"]
        return f"{zone}. 3600 IN DS {dns.dnssec.make_ds(f'{zone}.', keys[0], 'SHA256')}" if keys else ""

    @staticmethod
    def _answers(port: int) -> bool:
        try:
            answer = dns.query.udp(dns.message.make_query(f"{UNSIGNED}.", "SOA"), "127.0.0.1", 0.5, port)
        except (dns.exception.Timeout, OSError):
            return False
        return answer.rcode() == dns.rcode.NOERROR and bool(answer.answer)
