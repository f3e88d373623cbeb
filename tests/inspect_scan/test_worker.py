"""The inspector process: its protocol, what it gave up, and how it dies."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.inspect.clamd import client
from mailgate.inspect.worker import serve_in_thread
from mailgate.ipc.inspect_calls import Inspected, InspectFailed, InspectLimits
from mailgate.model.verdict import Inspection, Unscanned, Verdict
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.inspect_scan.small_clamd import SmallClamd
from tests.inspect_scan.test_containers import encrypted_office
from tests.inspect_scan.workers import Edge, Worker
from tests.support import messages
from tests.support.clock import eventually
from tests.support.gateway import short_folder
from tests.support.processes import is_alive

pytestmark = pytest.mark.component("clamd")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = short_folder("mg-worker-")
    yield made
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


def inspection(answer: object) -> Inspection:
    assert isinstance(answer, Inspected), answer
    return answer.inspection


def faulty(folder: Path, body: str, memory: int = 1 << 30) -> Worker:
    """A worker whose inspection is `body`."""
    prelude = f"def hostile(*given):\n    {body}\nworker.inspect = hostile"
    return Worker(folder, "unix:/nonexistent/clamd.sock", memory=memory, prelude=prelude)


def test_small_messages_come_inline_several_on_one_connection(folder: Path, small_clamd: SmallClamd) -> None:
    with Worker(folder, small_clamd.endpoint) as worker:
        edge = Edge(worker.path)
        assert inspection(edge.ask(messages.clean("a"))).verdict is Verdict.CLEAN
        infected = inspection(edge.ask(messages.with_attachment("b", messages.EICAR)))
        assert infected.verdict is Verdict.INFECTED
        assert infected.engine.startswith("ClamAV ")
        assert infected.scanner == small_clamd.endpoint
        assert infected.wall_seconds >= infected.scanner_seconds > 0
        assert worker.terminate() == 0


def test_large_messages_come_as_a_descriptor(folder: Path, small_clamd: SmallClamd) -> None:
    file = folder / "staged"
    with Worker(folder, small_clamd.endpoint) as worker:
        edge = Edge(worker.path)
        for attachment, verdict in ((messages.pdf(500_000), Verdict.CLEAN), (messages.EICAR, Verdict.INFECTED)):
            file.write_bytes(messages.with_attachment("c", attachment))
            file.chmod(0o600)
            edge.send_file(file)
            assert inspection(edge.answer()).verdict is verdict


def test_containers_are_opened_after_everything_was_given_up(folder: Path, small_clamd: SmallClamd) -> None:
    """No library may need files then that only root can read."""
    contents = [encrypted_zip("a.exe", b"MZ"), encrypted_office()]
    with Worker(folder, small_clamd.endpoint) as worker:
        edge = Edge(worker.path)
        found = [inspection(edge.ask(messages.with_attachment("j", content, "a.bin"))) for content in contents]
    assert [each.verdict for each in found] == [Verdict.NOT_SCANNED] * 2
    assert {part.reason for each in found for part in each.unscanned} == {Unscanned.ENCRYPTED}
    assert "a.exe" in [part.name for part in found[0].parts]


def test_a_staged_file_shorter_than_announced_is_not_inspected(folder: Path, small_clamd: SmallClamd) -> None:
    file = folder / "staged"
    file.write_bytes(messages.clean("d"))
    with Worker(folder, small_clamd.endpoint) as worker:
        edge = Edge(worker.path)
        edge.send_file(file, size=100_000)
        answer = edge.answer()
    assert isinstance(answer, InspectFailed)
    assert "staged file" in answer.text


def test_several_connections_are_served_in_turn(folder: Path, small_clamd: SmallClamd) -> None:
    with Worker(folder, small_clamd.endpoint) as worker:
        edges = [Edge(worker.path) for _ in range(5)]
        for number, edge in enumerate(edges):
            edge.send(messages.clean(f"e{number}"))
        assert [inspection(edge.answer()).verdict for edge in edges] == [Verdict.CLEAN] * 5


@pytest.mark.parametrize(
    "junk", [b"\xff" * (2 << 20), struct.pack("!I", 3) + b"abc", struct.pack("!I", 1 << 31) * (1 << 19)]
)
def test_junk_ends_the_connection_and_nothing_else(folder: Path, small_clamd: SmallClamd, junk: bytes) -> None:
    with Worker(folder, small_clamd.endpoint) as worker:
        strange, edge = Edge(worker.path), Edge(worker.path)
        with contextlib.suppress(ConnectionError):
            strange.send_bytes(junk)
        assert strange.is_hung_up()
        assert inspection(edge.ask(messages.clean("f"))).verdict is Verdict.CLEAN


def test_without_scanner_a_message_is_not_scanned_and_to_be_tried_again(folder: Path) -> None:
    with Worker(folder, "unix:/nonexistent/clamd.sock") as worker:
        found = inspection(Edge(worker.path).ask(messages.clean("g")))
    assert (found.verdict, found.is_transient) == (Verdict.NOT_SCANNED, True)


def test_a_parser_failure_is_answered(folder: Path) -> None:
    with faulty(folder, "raise RecursionError('too deep')") as worker:
        assert Edge(worker.path).ask(b"x") == InspectFailed("RecursionError: too deep")


def test_processor_time_kills(folder: Path) -> None:
    with faulty(folder, "while True: pass") as worker:
        assert Edge(worker.path).ask(b"x", InspectLimits(cpu_seconds=0.2)) is None
        assert worker.process.wait(30) == -signal.SIGPROF


def test_wall_time_kills(folder: Path) -> None:
    with faulty(folder, "import time; time.sleep(60)") as worker:
        assert Edge(worker.path).ask(b"x", InspectLimits(wall_seconds=0.2)) is None
        assert worker.process.wait(30) == -signal.SIGALRM


def test_time_between_messages_does_not_count(folder: Path) -> None:
    with faulty(folder, "raise ValueError('quick')") as worker:
        edge = Edge(worker.path)
        assert isinstance(edge.ask(b"x", InspectLimits(wall_seconds=0.2, cpu_seconds=0.2)), InspectFailed)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.process.wait(0.6)
        assert isinstance(edge.ask(b"x"), InspectFailed)


def test_memory_is_a_limit(folder: Path) -> None:
    with faulty(folder, "bytearray(300 << 20)", memory=200 << 20) as worker:
        edge = Edge(worker.path)
        found = inspection(edge.ask(b"x"))
        assert [part.reason for part in found.parts] == [Unscanned.LIMIT]
        assert not found.is_transient
        assert inspection(edge.ask(b"y")).verdict is Verdict.NOT_SCANNED


def test_sigterm_waits_for_the_message_under_way(folder: Path) -> None:
    body = (
        "import sys, time; print('begun', file=sys.stderr, flush=True); time.sleep(0.3); raise ValueError('finished')"
    )
    with faulty(folder, body) as worker:
        edge = Edge(worker.path)
        edge.send(b"x")
        assert worker.process.stderr is not None
        assert worker.process.stderr.readline() == b"begun\n"
        worker.process.send_signal(signal.SIGTERM)
        assert edge.answer() == InspectFailed("ValueError: finished")
        assert worker.process.wait(30) == 0


def test_it_dies_with_its_parent(folder: Path) -> None:
    script = (
        "import subprocess, sys, socket, time\n"
        f"s = socket.socket(socket.AF_UNIX); s.bind({str(folder / 'p.sock')!r}); s.listen()\n"
        "code = f\"import mailgate.inspect.worker as w; w.main({s.fileno()}, ['unix:/x'], 'nobody')\"\n"
        "child = subprocess.Popen([sys.executable, '-c', code], pass_fds=[s.fileno()])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert isinstance(Edge(folder / "p.sock").ask(messages.clean("h")), Inspected)
        parent.kill()
    eventually(lambda: not is_alive(child), "the inspector is gone")


_CONFESS = """
import json, os, socket
def tried(what):
    try:
        what()
        return "allowed"
    except OSError as error:
        return error.strerror
raise ValueError(json.dumps([
    tried(lambda: os.open({file!r}, os.O_RDONLY)), tried(lambda: os.setuid(0)),
    tried(lambda: list(os.scandir({data!r}))),
    tried(lambda: socket.create_connection(("127.0.0.1", {port}), 5)), tried(lambda: os.kill({pid}, 0)),
    len([number for number in range(256) if tried(lambda: os.lseek(number, 0, 0)) != "Bad file descriptor"]),
]))
"""
_WITHOUT = {
    "": "",
    "landlock": "from mailgate.sandbox import landlock; landlock.version = lambda: 0",
    "seccomp": "from mailgate.sandbox import seccomp; seccomp.is_supported = lambda: False",
}


@pytest.mark.component("root")
@pytest.mark.parametrize("missing", _WITHOUT)
def test_what_the_worker_gave_up(folder: Path, tmp_path: Path, missing: str) -> None:
    """No keys, no data directory, no way back to root, no network, no other process, no descriptor of the parent's;
    also where the kernel has one of Landlock and seccomp only."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    key = folder / "master.key"
    key.write_text("secret")
    key.chmod(0o600)
    held = os.open(key, os.O_RDONLY)
    os.set_inheritable(held, True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = _CONFESS.format(file=str(key), data=str(data), port=port, pid=os.getpid())
        with faulty(folder, f"exec({source!r}, {{}})\n{_WITHOUT[missing]}") as worker:
            answer = Edge(worker.path).ask(b"x")
            status = Path(f"/proc/{worker.process.pid}/status").read_text()
    os.close(held)
    assert isinstance(answer, InspectFailed)
    *tried, descriptors = json.loads(answer.text.removeprefix("ValueError: "))
    assert len(tried) == 5
    assert "allowed" not in tried
    # 0 to 2, the stop signal's two, the listener, the edge, scanners, the forker, and the memory of verdicts
    assert descriptors <= 11
    assert "NoNewPrivs:\t1" in status
    assert f"Seccomp:\t{0 if missing == 'seccomp' else 2}" in status


def test_a_child_for_strangers_containers_is_confined_too(folder: Path) -> None:
    """It is made by a process that may fork, and can't itself."""
    body = (
        "from mailgate.inspect.bounded import BoundedChild\n"
        "    from mailgate.inspect.containers import LISTING\n"
        "    told = [answer.decode() for answer in BoundedChild(LISTING.work).run([b'fork', b'open', b'kill'], 30)]\n"
        "    raise ValueError(told)"
    )
    prelude = """
import os
from mailgate.inspect import containers
def work(contents):
    for content in contents:
        try:
            {b"fork": os.fork, b"open": lambda: os.open("/", 0), b"kill": lambda: os.kill(1, 0)}[content]()
            yield b"done"
        except OSError as error:
            yield error.strerror.encode()
containers.LISTING = worker.LISTING = containers.Bounds(work)
worker._KINDS = (containers.LISTING, worker.READING)
"""
    with faulty(folder, f"{body}\n{prelude}") as worker:
        answer = Edge(worker.path).ask(b"x")
    assert answer == InspectFailed(f"ValueError: {['Operation not permitted'] * 3}")


def test_an_inspector_whose_forker_died_ends(folder: Path) -> None:
    """Another takes its place; it can't list containers any more."""
    body = (
        "from mailgate.inspect import bounded, containers\n"
        "    bounded._forker._link.shutdown(2)\n"
        "    bounded.BoundedChild(containers.LISTING.work).run([b'x'], 30)"
    )
    with faulty(folder, body) as worker:
        assert Edge(worker.path).ask(b"x") is None
        assert worker.process.wait(30) == os.EX_TEMPFAIL


def test_an_unknown_account_is_named(folder: Path) -> None:
    with Worker(folder, "unix:/x", user="no-such-account") as worker:
        _, errors = worker.process.communicate(timeout=30)
    assert b"MAILGATE_INSPECTOR_USER" in errors
    assert b"no-such-account" in errors


def test_in_a_thread(folder: Path, small_clamd: SmallClamd) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "t.sock"))
    listener.listen()
    stop = serve_in_thread(listener, [small_clamd.endpoint])
    edge = Edge(folder / "t.sock")
    assert inspection(edge.ask(messages.with_attachment("i", messages.EICAR))).verdict is Verdict.INFECTED
    stop()
    listener.close()


def test_after_sighup_nothing_is_remembered(folder: Path, mortal_clamd: SmallClamd) -> None:
    """The signatures keep their version, so that nothing else tells of the new one."""
    mortal_clamd.start()
    outbreak = b"MALWARE-OUTBREAK-2026 " + bytes(3000)
    with Worker(folder, mortal_clamd.endpoint, prelude=_LONG_MEMORY) as worker:
        edge = Edge(worker.path)

        def verdict(content: bytes) -> Verdict:
            return inspection(edge.ask(messages.with_attachment("o", content))).verdict

        assert verdict(outbreak) is Verdict.CLEAN
        (mortal_clamd.root / "db" / "local.ndb").write_text(f"Local.Outbreak:0:*:{outbreak[:21].hex()}\n")
        client(mortal_clamd.endpoint).reload()
        copies = (outbreak + b"%d" % number for number in itertools.count())
        eventually(lambda: verdict(next(copies)) is Verdict.INFECTED, "the new signature is in use")
        assert verdict(outbreak) is Verdict.CLEAN
        worker.process.send_signal(signal.SIGHUP)
        eventually(lambda: verdict(outbreak) is Verdict.INFECTED, "nothing is remembered")
        assert worker.terminate() == 0


_LONG_MEMORY = "import mailgate.inspect.verdict_cache as cache; cache.UNVERSIONED_LIFETIME = 1e6; cache.LIFETIME = 1e6"
