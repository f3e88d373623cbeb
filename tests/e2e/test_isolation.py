"""An inspector that a message has taken over, in each way in which the gateway is run: whatever it tries, it fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from mailgate.ipc.calls import Admin, Hello, Resolve
from mailgate.ipc.frames import call_once
from mailgate.model.errors import UserError
from tests.conftest import Build
from tests.support import deployments, messages, processes, taken_over
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.components import REPOSITORY
from tests.support.gateway import Gateway

pytestmark = [pytest.mark.component("clamd", "root")]

_TAKES_OVER = """\
import sys
if "_inspector" in sys.orig_argv:
    from tests.support import taken_over
    taken_over.take_over()
"""


def deployed(build: Build, clamd: str, deployment: str, **settings: str) -> Gateway:
    """Not started; its inspectors can be taken over by a message. No other account may enter the data directory."""
    gateway = build(clamd, **settings)
    (gateway.root / "code").mkdir()
    (gateway.root / "code" / "sitecustomize.py").write_text(_TAKES_OVER)
    gateway.environment["PYTHONPATH"] = os.pathsep.join([str(gateway.root / "code"), str(REPOSITORY)])
    gateway.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    account = deployments.ACCOUNT[deployment]
    gateway.data_dir.chmod(0o700)
    for path in (gateway.root, *gateway.root.rglob("*")):
        os.chown(path, account, account, follow_symlinks=False)
    gateway.prefix = deployments.prefix(deployment, gateway.root)
    return gateway


def targets(gateway: Gateway, clamd: Path, port: int) -> dict[str, Any]:
    """What an attacker would want."""
    data = gateway.data_dir
    boxes = gateway.maildir("bob@acme.example")
    others = [pid for pids in processes.by_role(gateway.pid).values() for pid in pids]
    return {
        "files": [str(data / "master.key"), str(data / "spool" / "spool.db"), *map(str, boxes.glob("new/*"))],
        "folders": [str(data), str(data / "spool"), str(boxes / "new"), str(data / "run"), str(gateway.policy_dir)],
        "sockets": [str(data / "run" / name) for name in ("store.sock", "admin.sock")]
        + [str(clamd), str(gateway.root / "login.sock")],
        "processes": [gateway.pid, *others],
        "ports": [port, gateway.mx[1], gateway.metrics[1]],
    }


def confession(gateway: Gateway) -> dict[str, str]:
    """What the inspector said of its attempts; one that it could not survive would leave nothing."""

    def lines() -> list[str]:
        return [line for line in gateway.log().splitlines() if line.startswith(taken_over.MARK.decode())]

    eventually(lambda: bool(lines()), f"the attempts of the inspector\n{gateway.log()[-3000:]}", 20)
    tried: dict[str, str] = json.loads(lines()[-1].removeprefix(taken_over.MARK.decode()))
    return tried


@pytest.mark.parametrize("deployment", [deployments.ROOT, deployments.UNIT, deployments.CONTAINER])
def test_a_taken_over_inspector_can_do_nothing(
    new_gateway: Build, clamd: Clamd, deployment: str, tmp_path: Path
) -> None:
    gateway = deployed(new_gateway, clamd.endpoint, deployment)
    gateway.environment["MAILGATE_LOGIN_SOCKET"] = str(gateway.root / "login.sock")
    gateway.start()
    assert gateway.deliver(messages.clean("before")).code == 250
    gateway.delivered("bob@acme.example", "before")
    with socket.create_server(("127.0.0.1", 0)) as server:
        wanted = targets(gateway, clamd.socket, server.getsockname()[1])
        assert len(wanted["files"]) == 3
        answer = gateway.deliver(messages.clean("attack") + taken_over.order(wanted) + b"\r\n")
        tried = confession(gateway)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert len(tried) > 500
    assert {what: how for what, how in tried.items() if how.startswith("DONE")} == {}
    assert answer.code == 451  # the inspection failed for the first time
    assert gateway.deliver(messages.clean("after")).code == 250
    gateway.delivered("bob@acme.example", "after")
    gateway.stop()


def test_the_account_alone_opens_nothing(new_gateway: Build, clamd: Clamd) -> None:
    """The store's socket is for its processes, which have keys; health goes on where commands need an operator's key;
    and whatever is removed of the data directory, there is one gateway on it."""
    gateway = deployed(new_gateway, clamd.endpoint, deployments.UNIT)
    gateway.start()
    store = gateway.data_dir / "run" / "store.sock"
    for request in (Admin("tenant.list"), Admin("queue.summary"), Hello("edge"), Resolve("bob", "acme.example")):
        with pytest.raises(UserError):
            call_once(store, request)
    assert "acme" in gateway.cli("tenant", "list")
    account = deployments.ACCOUNT[deployments.UNIT]
    assert {each.stat().st_uid for each in (store, store.with_name("admin.key"))} == {account}
    (gateway.data_dir / "lock").unlink()
    second = gateway.run("serve")
    assert (second.returncode, f"another mailgate (process {gateway.pid}) runs" in second.stderr) == (2, True)
    key = gateway.root / "operator"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    gateway.cli("operator", "add", "alice", "--key", f"{key}.pub")
    assert gateway.run("tenant", "list").returncode == 2
    assert "acme" in gateway.cli("--operator-key", str(key), "tenant", "list")
    for request in (Admin("tenant.list"), Admin("operator.remove", {"name": "alice"})):
        with pytest.raises(UserError):
            call_once(store, request)
    checks = json.load(urllib.request.urlopen(f"http://127.0.0.1:{gateway.metrics[1]}/healthz"))
    assert "spool" in json.dumps(checks)
    assert "does not answer" not in json.dumps(checks)
    gateway.stop()
