"""The units in packaging/systemd: systemd finds nothing wrong, and the gateway takes the sockets that they name."""

from __future__ import annotations

import configparser
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailgate.ops.supervisor import DRAIN_SECONDS
from tests.conftest import Build
from tests.support.clamd import Clamd
from tests.support.components import REPOSITORY
from tests.support.gateway import Gateway
from tests.support.messages import clean, token

UNITS = REPOSITORY / "packaging" / "systemd"
EXPOSURE = 20
"""`systemd-analyze security` in tenths: 0 is best, 100 worst; a unit without any hardening has 96."""

pytestmark = pytest.mark.component("systemd")


def read(unit: Path) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment]
    parsed.read(unit)
    return parsed


def socket_names() -> list[str]:
    return [read(unit)["Socket"]["FileDescriptorName"] for unit in sorted(UNITS.glob("*.socket"))]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with a program that exists on this machine."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    service = folder / "mailgate.service"
    text = service.read_text()
    assert "ExecStart=/opt/mailgate/.venv/bin/mailgate serve\n" in text
    service.write_text(text.replace("/opt/mailgate/.venv/bin/mailgate", sys.executable))
    return folder


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    done = analyze("verify", "--recursive-errors=no", "--man=no", *sorted(installed.iterdir()))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_what_is_wrong(installed: Path) -> None:
    service = installed / "mailgate.service"
    service.write_text(service.read_text().replace("ProtectSystem=strict", "ProtectSystem=perhaps"))
    assert "Failed to parse" in analyze("verify", "--man=no", service).stderr


def test_the_service_is_hardened(installed: Path) -> None:
    done = analyze(
        "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", installed / "mailgate.service"
    )
    print(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_socket_belongs_to_the_service_and_the_service_to_every_socket() -> None:
    service = read(UNITS / "mailgate.service")
    assert sorted(service["Service"]["Sockets"].split()) == sorted(unit.name for unit in UNITS.glob("*.socket"))
    assert all(read(unit)["Socket"]["Service"] == "mailgate.service" for unit in UNITS.glob("*.socket"))
    assert sorted(socket_names()) == ["mx", "submission", "submissions"]


def test_the_service_waits_for_the_drain() -> None:
    assert float(read(UNITS / "mailgate.service")["Service"]["TimeoutStopSec"]) > DRAIN_SECONDS


@contextmanager
def activated(gateway: Gateway) -> Iterator[None]:
    """The gateway does not run yet: the first connection starts it, as under systemd."""
    addresses = {"mx": gateway.mx, "submission": gateway.submission, "submissions": gateway.submissions}
    names = socket_names()
    command = [
        "systemd-socket-activate",
        *(f"--listen={addresses[name][0]}:{addresses[name][1]}" for name in names),
        f"--fdname={':'.join(names)}",
        # it passes on nothing of its own environment
        *(f"--setenv={name}={gateway.environment[name]}" for name in passed_on(gateway)),
        *(sys.executable, "-m", "mailgate", "serve"),
    ]
    with gateway.log_file.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=gateway.root)
    try:
        gateway.wait_for_log("Listening on")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, gateway.log()


def passed_on(gateway: Gateway) -> list[str]:
    return [name for name in gateway.environment if name.startswith("MAILGATE_") or name == "PYTHONPATH"]


@pytest.mark.component("clamd")
def test_the_first_connection_starts_the_gateway_which_serves_all_sockets(clamd: Clamd, new_gateway: Build) -> None:
    gateway = new_gateway(clamd.endpoint)
    with activated(gateway):
        assert gateway.deliver(clean(token())).code == 250
        gateway.submit().close()
        gateway.submit(tls=True).close()
    assert "mailgate is ready" in gateway.log()
