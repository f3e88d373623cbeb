"""What the kernel makes of it, in processes that confine themselves."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mailgate.sandbox import landlock, seccomp
from tests.support.components import REPOSITORY

_PRELUDE = """
import ctypes, errno, json, os, resource, signal, socket, sys
from pathlib import Path
from mailgate.sandbox import landlock, seccomp
from mailgate.sandbox.process import gain_nothing
libc = ctypes.CDLL(None, use_errno=True)
def tried(act):
    try:
        act()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
gain_nothing()
"""

needs_seccomp = pytest.mark.skipif(not seccomp.is_supported(), reason="this kernel has no seccomp")
needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


def confined(body: str, *arguments: object) -> Any:
    """What a process of its own prints as JSON."""
    done = run(body, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run(body: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PRELUDE + body, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)


@needs_seccomp
def test_seccomp_alone_lets_no_call_through_that_is_not_listed() -> None:
    """All numbers that the kernel could know, with arguments of zero: a call that is let through fails otherwise, or
    even succeeds. Two that only the kernel's own trampolines may make pass every filter, and end in SIGILL."""
    body = """
column = 0 if os.uname().machine == "x86_64" else 1
allowed = {both[column] for both in seccomp._WORK.values()} | ({335, 336} if column == 0 else set())
seccomp.restrict()
made = {}
for number in set(range(600)) - allowed:
    ctypes.set_errno(0)
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    made[number] = ctypes.get_errno()
print(json.dumps(made))
"""
    made = {int(number): error for number, error in confined(body).items()}
    assert len(made) > 500
    assert {number for number, error in made.items() if error != (1 if number < 451 else 38)} == set()


@needs_seccomp
@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls of x86-64")
@pytest.mark.parametrize("number", [0x4000_0000 | 39, 0x4000_0000 | 520])
def test_a_call_of_x32_ends_the_process(number: int) -> None:
    assert run(f"seccomp.restrict(); libc.syscall({number}); print(1)").returncode == -signal.SIGSYS


@needs_seccomp
@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls of x86-64")
def test_a_call_of_i386_ends_the_process() -> None:
    """int 0x80 with eax = 20 (getpid there), from memory that was made executable before."""
    body = """
import mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
assert call() == os.getpid()
sys.stdout.flush()
seccomp.restrict()
call()
"""
    assert run(body).returncode == -signal.SIGSYS


@needs_seccomp
def test_seccomp_cannot_be_taken_back() -> None:
    body = """
seccomp.restrict()
print(json.dumps([tried(lambda: seccomp.restrict(may_fork=True)), tried(lambda: os.open("/", os.O_RDONLY))]))
"""
    assert confined(body) == ["EPERM", "EPERM"]


@needs_landlock
def test_landlock_alone_opens_no_file_but_keeps_what_is_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    body = """
folder = Path(sys.argv[1])
held = os.open(folder / "file", os.O_RDWR)
assert landlock.restrict()
names = (folder / "file", folder, "/", "/etc/passwd", "/proc/self/environ", "/dev/null")
print(json.dumps([
    *(tried(lambda: os.open(name, os.O_RDONLY)) for name in names),
    tried(lambda: os.open(folder / "new", os.O_CREAT | os.O_WRONLY)), tried(lambda: os.unlink(folder / "file")),
    tried(lambda: os.execv("/bin/true", ["true"])),
    tried(lambda: os.read(held, 1)), tried(lambda: os.write(held, b"y")),
]))
"""
    assert confined(body, tmp_path) == ["EACCES"] * 9 + ["done"] * 2


@needs_landlock
def test_landlock_reaches_no_process_and_port_outside(tmp_path: Path) -> None:
    body = """
assert landlock.restrict()
def connect(): socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
def bind(): socket.create_server(("127.0.0.1", 0))
def trace():
    if libc.ptrace(16, int(sys.argv[2]), 0, 0):
        raise OSError(ctypes.get_errno(), "")
def signal_it(): os.kill(int(sys.argv[2]), 0)
print(json.dumps([landlock.version(), tried(connect), tried(bind), tried(trace), tried(signal_it)]))
"""
    with socket.create_server(("127.0.0.1", 0)) as server, subprocess.Popen(["sleep", "60"]) as other:
        version, *found = confined(body, server.getsockname()[1], other.pid)
        other.kill()
    ports = "EACCES" if version >= 4 else "done"
    assert found == [ports, ports, "EPERM", "EPERM" if version >= 6 else "done"]


@needs_landlock
def test_landlock_leaves_what_is_named(tmp_path: Path) -> None:
    for name in ("readable", "writable", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    body = """
folder = Path(sys.argv[1])
landlock.restrict([folder / "readable", folder / "missing"], [folder / "writable"], ports=True)
def write(name): os.close(os.open(folder / name / "new", os.O_CREAT | os.O_WRONLY))
def read(name): (folder / name / "file").read_bytes()
socket.create_server(("127.0.0.1", 0))
print(json.dumps([[tried(lambda: act(name)) for act in (read, write)] for name in ("readable", "writable", "secret")]))
"""
    assert confined(body, tmp_path) == [["done", "EACCES"], ["done", "done"], ["EACCES", "EACCES"]]


def test_a_process_dies_with_who_started_it() -> None:
    body = """
from mailgate.sandbox.process import die_with
parent = os.getpid()
ours, theirs = os.pipe()
if os.fork() == 0:
    die_with(parent)
    os.write(theirs, b"x")
    signal.pause()
os.read(ours, 1)
os.close(theirs)
print(1, flush=True)
os.kill(parent, signal.SIGKILL)
"""
    # the child holds the standard output: it would never end
    done = run(body)
    assert done.returncode == -signal.SIGKILL


def test_memory_is_hidden_from_the_own_account() -> None:
    body = """
from mailgate.sandbox.process import hide_memory
hide_memory()
print(json.dumps(os.stat(f"/proc/{os.getpid()}/mem").st_uid))
"""
    assert confined(body) == 0
    assert os.getuid() == 0 or confined("print(os.stat('/proc/self/mem').st_uid)") == os.getuid()
