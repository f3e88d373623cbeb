"""Nothing unscanned passes: infected mail is refused, and without a working scanner everything waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support import maildir, messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.components import TESTFILES
from tests.support.faults import Fault, FaultyClamd
from tests.support.gateway import Gateway

BOB = "bob@acme.example"


def container_files() -> list[Path]:
    return sorted(path for path in TESTFILES.glob("clam*") if path.is_file())


@pytest.mark.component("clamd")
@pytest.mark.parametrize("build", [messages.infected, messages.infected_zip], ids=["attachment", "zip"])
def test_eicar_is_refused_in_the_dialogue(gateway: Gateway, build) -> None:  # type: ignore[no-untyped-def]
    name = messages.token()
    answer = gateway.deliver(build(name), BOB)
    assert (answer.code, answer.enhanced) == (554, "5.7.1")
    assert not maildir.holding(gateway.maildir(BOB), name)


@pytest.mark.component("clamd")
def test_eicar_behind_five_mebibytes_is_refused(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.with_attachment(name, messages.pdf(4 << 20) + messages.EICAR)
    assert gateway.deliver(message, BOB).code == 554


@pytest.mark.component("clamd", "testfiles")
def test_every_container_with_the_test_file_is_refused(gateway: Gateway) -> None:
    files = container_files()
    assert len(files) > 30
    passed = []
    for path in files:
        message = messages.with_attachment(messages.token(), path.read_bytes(), path.name, "application/octet-stream")
        answer = gateway.deliver(message, BOB)
        if (answer.code, answer.enhanced) != (554, "5.7.1"):
            passed.append(f"{path.name}: {answer}")
    assert not passed


@pytest.mark.component("clamd")
def test_without_the_scanner_mail_waits_and_with_it_mail_passes_again(new_gateway: Build, own_clamd: Clamd) -> None:
    gateway = new_gateway(own_clamd.endpoint)
    gateway.start()  # clamd was never started: the gateway runs all the same
    assert gateway.deliver(messages.clean(messages.token()), BOB).code == 451
    own_clamd.start()
    accepted = _until_accepted(gateway)
    own_clamd.stop()
    refused = messages.token()
    answer = gateway.deliver(messages.clean(refused), BOB)
    assert answer.code == 451
    assert answer.enhanced.startswith("4.")
    own_clamd.start()
    _until_accepted(gateway)
    gateway.delivered(BOB, accepted)
    assert not maildir.holding(gateway.maildir(BOB), refused)
    gateway.stop()


def _until_accepted(gateway: Gateway) -> str:
    """The token of the first message that passes: the gateway finds out by itself that the scanner is back."""

    def attempt() -> str:
        name = messages.token()
        answer = gateway.deliver(messages.clean(name), BOB)
        assert answer.code in (250, 451), str(answer)
        return name if answer.code == 250 else ""

    return eventually(attempt, "a message to be accepted")


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.HANG])
def test_a_scanner_that_misbehaves_lets_nothing_pass(new_gateway: Build, fault: Fault) -> None:
    with FaultyClamd(fault) as scanner:
        gateway = new_gateway(scanner.endpoint, WORKERS="0")
        gateway.start()
        name = messages.token()
        answer = gateway.deliver(messages.clean(name), BOB)
        assert answer.code == 451, f"{fault}: {answer}"
        assert not maildir.holding(gateway.maildir(BOB), name)
        assert scanner.requests > 0
        gateway.stop()
