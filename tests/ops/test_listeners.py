"""Sockets: bound at once, refused with a reason, taken from systemd."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mailgate.model.errors import UserError
from mailgate.ops import layout, listeners
from mailgate.settings import Listen
from tests.ops.conftest import Make


def test_every_listener_is_bound_and_accepts(make_settings: Make) -> None:
    settings = make_settings()
    layout.prepare(settings)
    bound = listeners.bind(settings, {})
    for name in listeners.PUBLIC:
        [address] = bound.addresses()[name]
        where = Listen.parse(address)
        socket.create_connection((where.host, where.port), timeout=5).close()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(settings.inspector_path(1)))
    assert settings.admin_path.stat().st_mode & 0o077 == 0
    bound.close()


def test_all_that_cannot_be_bound_is_listed(make_settings: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = make_settings(
            mx_listen=[Listen("127.0.0.1", port)], submission_listen=[Listen("192.0.2.1", 0), Listen("127.0.0.1", 0)]
        )
        layout.prepare(settings)
        with pytest.raises(UserError) as caught:
            listeners.bind(settings, {})
    assert f"MAILGATE_MX_LISTEN 127.0.0.1:{port}: port {port} is taken by another program" in str(caught.value)
    assert "MAILGATE_SUBMISSION_LISTEN 192.0.2.1:0: this machine does not have that address" in str(caught.value)


def test_a_socket_file_of_a_gateway_that_is_gone_is_replaced(make_settings: Make) -> None:
    settings = make_settings()
    layout.prepare(settings)
    listeners.bind(settings, {}).close()
    listeners.bind(settings, {}).close()


def test_a_path_too_long_for_a_unix_socket_is_explained(make_settings: Make, tmp_path: Path) -> None:
    settings = make_settings(data_dir=tmp_path / ("long" * 30))
    layout.prepare(settings)
    with pytest.raises(UserError, match="choose a shorter MAILGATE_DATA_DIR"):
        listeners.bind(settings, {})


def test_ipv6_and_every_address(make_settings: Make) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    settings = make_settings(mx_listen=[Listen("::1", 0)], submission_listen=[Listen("", 0)])
    layout.prepare(settings)
    bound = listeners.bind(settings, {})
    assert bound.public["mx"][0].family == socket.AF_INET6
    port = bound.public["submission"][0].getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, port), timeout=5).close()
    bound.close()


SYSTEMD = """
import os, socket, sys
from mailgate.ops.listeners import from_systemd
names = sys.argv[1]
# as systemd does: the sockets begin at descriptor 3
sock = socket.create_server(("127.0.0.1", 0))
os.dup2(sock.fileno(), 3)
os.dup2(sock.fileno(), 4)
found = from_systemd({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": names})
print({name: [s.fileno() for s in socks] for name, socks in found.items()}, flush=True)
os._exit(0)
"""


def test_systemd_sockets_are_told_apart_by_name() -> None:
    done = subprocess.run([sys.executable, "-c", SYSTEMD, "mx:submissions"], capture_output=True, text=True)
    assert done.stdout.strip() == "{'mx': [3], 'submissions': [4]}", done.stderr


def test_a_systemd_socket_without_a_name_of_ours_is_refused() -> None:
    done = subprocess.run([sys.executable, "-c", SYSTEMD, "mx:web"], capture_output=True, text=True)
    assert "FileDescriptorName= must be one of mx, submission, submissions, sts, metrics" in done.stderr


def test_sockets_for_another_process_are_left_alone() -> None:
    assert listeners.from_systemd({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "9"}) == {}
