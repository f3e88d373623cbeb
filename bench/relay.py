"""queue -> next hop, beside Postfix in the same run and with the same sink: 4 KiB messages to one destination.

    python -m bench.relay [--rounds N] [--messages N]

Both run already when their full queue becomes due; time runs from the first message that the sink takes to the last.
Postfix runs as it comes, and once more with smtp_tls_connection_reuse=yes. What counts is the ratio within a round, and
of the ratios the median. Needs root and Postfix."""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mailgate.ipc.calls import NewEntry
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Client, Direction, Envelope, Recipient, TenantName, queue_id
from mailgate.settings import Settings
from mailgate.spool.content import inline_content
from mailgate.spool.queue import Accepted
from mailgate.spool.rows import rows_of
from mailgate.store.keeping.opening import open_spool
from tests.support import components
from tests.support.certificates import Authority, Issued
from tests.support.clock import eventually
from tests.support.gateway import Gateway, short_folder
from tests.support.ports import free_port

SIZE = 4096
PATIENCE = 300.0
START_SECONDS = 20.0  # that the gateway has for its start before its queue becomes due
NEEDED = ("postfix", "root")

_MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
default_database_type = lmdb
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {root}/log
maillog_file_prefixes = {root}
alias_maps =
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = {level}
smtp_tls_connection_reuse = {reuse}
defer_transports = {deferred}
maximal_queue_lifetime = 1d
"""


class Sink:
    """The process that takes the mail."""

    def __init__(self, issued: Issued, tls: bool, *more: str) -> None:
        command = [sys.executable, "-m", "bench.sink", "--cert", str(issued.chain), "--key", str(issued.key), *more]
        self._process = subprocess.Popen(
            command if tls else [*command, "--plain"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    @property
    def taken(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def rate(self, messages: int, began_with: int) -> float:
        """Messages a second from the first to the last of `messages`."""
        first = eventually(lambda: self.taken - began_with, "the first message", PATIENCE)
        began = time.monotonic()
        while self.taken - began_with < messages:
            if time.monotonic() - began > PATIENCE:
                sys.exit(f"only {self.taken - began_with} of {messages} messages arrived in {PATIENCE:.0f} s")
            time.sleep(0.005)
        return (messages - first) / (time.monotonic() - began)


def mailgate(sink: Sink, messages: int) -> float:
    """A gateway that starts with a full queue."""
    root = short_folder("mg-bench-")
    gateway = Gateway(root, "unix:/nonexistent", LOG_LEVEL="warning")
    try:
        (gateway.policy_dir / "gateway.toml").write_text(
            f'[[routes]]\ndomain = "*"\nsmarthost = "127.0.0.1:{sink.port}"\n'
        )
        taken = sink.taken
        start(gateway, ["someone@hop.example"] * messages)
        return sink.rate(messages, taken)
    finally:
        gateway.remove()


def start(gateway: Gateway, recipients: Sequence[str]) -> None:
    """Returns once the gateway has started; its queue becomes due later, or has just become due on a busy machine."""
    due = time.time() + START_SECONDS
    fill(gateway.data_dir, recipients, due)
    gateway.launch()
    eventually(lambda: _greets(gateway.mx), "the gateway's greeting", PATIENCE)


def _greets(address: tuple[str, int]) -> bool:
    """The edge is the last that starts."""
    with contextlib.suppress(OSError), socket.create_connection(address, START_SECONDS) as connection:
        return connection.recv(3) == b"220"
    return False


def fill(data_dir: Path, recipients: Sequence[str], due: float) -> None:
    """A queue with one message for each of these, in this order, all `due` at this moment (seconds since 1970)."""
    spool = open_spool(Settings(data_dir=data_dir))
    body = b"Subject: bench\r\n\r\n" + (b"x" * 70 + b"\r\n") * (SIZE // 72)
    spool.store.begin()
    now = time.time()
    for number, recipient in enumerate(recipients):
        envelope = Envelope(
            queue_id=queue_id(now, number),
            tenant=TenantName("acme"),
            direction=Direction.OUTBOUND,
            reverse_path="bob@acme.example",
            recipients=(Recipient(recipient),),
            client=Client("127.0.0.1"),
            received_at=now,
        )
        entry = NewEntry(envelope, Decision(Action.ACCEPT, "bench", "", ""), b"", body, body_size=len(body))
        spool.store.keep(Accepted(entry, inline_content(b"", body, ()), rows_of(entry)), due, "", 0.0)
    spool.store.commit()
    spool.close()


def postfix(sink: Sink, messages: int, level: str, reuse: bool) -> float:
    """Postfix with a full queue that is set free."""
    root = short_folder("pf-bench-")
    port = free_port()
    for name in ("etc", "queue", "data"):
        (root / name).mkdir()
    os.chown(root / "data", pwd.getpwnam("postfix").pw_uid, -1)
    stock = Path("/usr/share/postfix/master.cf.dist").read_text()
    (root / "etc" / "master.cf").write_text(_services(stock, port))

    def configure(deferred: str) -> None:
        values = {"root": root, "sink": sink.port, "level": level, "reuse": "yes" if reuse else "no"}
        (root / "etc" / "main.cf").write_text(_MAIN.format(deferred=deferred, **values))

    def run(*command: str) -> None:
        subprocess.run([components.program(command[0]) or command[0], *command[1:]], check=True, capture_output=True)

    configure("smtp")
    run("postfix", "-c", str(root / "etc"), "start")
    try:
        source = (
            "-s",
            "20",
            "-m",
            str(messages),
            "-l",
            str(SIZE),
            "-f",
            "bob@acme.example",
            "-t",
            "someone@hop.example",
        )
        run("smtp-source", *source, f"127.0.0.1:{port}")
        eventually(lambda: not _files(root, "incoming", "active"), "Postfix's queue to settle", PATIENCE)
        configure("")
        taken = sink.taken
        run("postfix", "-c", str(root / "etc"), "reload")
        run("postqueue", "-c", str(root / "etc"), "-f")
        return sink.rate(messages, taken)
    finally:
        run("postfix", "-c", str(root / "etc"), "stop")
        shutil.rmtree(root, ignore_errors=True)


def _files(root: Path, *queues: str) -> bool:
    return any(path.is_file() for queue in queues for path in (root / "queue" / queue).rglob("*"))


def _services(stock: str, port: int) -> str:
    """The stock services without chroot, with smtpd on our port, and the one that sessions in TLS are kept by."""
    lines = []
    for line in stock.splitlines():
        fields = line.split(None, 7)
        if line[:1].strip() and not line.startswith("#") and len(fields) == 8:
            fields[4] = "n"
            if fields[0] == "smtp" and fields[1] == "inet":
                fields[0] = f"127.0.0.1:{port}"
            line = " ".join(fields)
        lines.append(line)
    return "\n".join([*lines, "tlsproxy unix - - n - 0 tlsproxy"]) + "\n"


@contextlib.contextmanager
def _sinks(folder: Path) -> Iterator[dict[str, Sink]]:
    issued = Authority(folder).issue("sink.example")
    sinks = {"plaintext": Sink(issued, tls=False), "STARTTLS": Sink(issued, tls=True)}
    try:
        yield sinks
    finally:
        for sink in sinks.values():
            sink.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (3)")
    parser.add_argument("--messages", type=int, default=2000, help="messages a round (2000)")
    options = parser.parse_args()
    reasons = [reason for reason in map(components.missing, NEEDED) if reason]
    if reasons:
        sys.exit("\n".join(reasons))
    work = short_folder("mg-bench-ca-")
    with _sinks(work) as sinks:
        for name, sink in sinks.items():
            level = "none" if name == "plaintext" else "may"
            peers: dict[str, Callable[[], float]] = {
                "postfix": lambda sink=sink, level=level: postfix(sink, options.messages, level, reuse=False)
            }
            if name != "plaintext":
                peers["postfix, reuse"] = lambda sink=sink: postfix(sink, options.messages, "may", reuse=True)
            rates: dict[str, list[float]] = {"mailgate": [], **{peer: [] for peer in peers}}
            for _ in range(options.rounds):
                rates["mailgate"].append(mailgate(sink, options.messages))
                for peer, run in peers.items():
                    rates[peer].append(run())
            _print(name, rates)
    shutil.rmtree(work, ignore_errors=True)


def _print(name: str, rates: dict[str, list[float]]) -> None:
    ours = rates["mailgate"]
    for peer, measured in rates.items():
        ratios = [mine / theirs for mine, theirs in zip(ours, measured, strict=True)]
        print(
            f"{name:>9}  {peer:<15} {statistics.median(measured):8.0f} msg/s  "
            f"(rounds {min(measured):.0f} to {max(measured):.0f})  mailgate is {statistics.median(ratios):.2f} x"
        )


if __name__ == "__main__":
    main()
