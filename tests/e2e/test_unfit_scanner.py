"""A clamd as its package sets it up: mail waits, and whoever can act reads what to do."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.inspect_scan.test_canaries_real import DEBIAN
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway, short_folder

pytestmark = pytest.mark.component("clamd")


@pytest.fixture
def scanned_gateway(own_clamd: Clamd) -> Iterator[Gateway]:
    """Not started yet, nor is the scanner."""
    gateway = Gateway(short_folder("mg-unfit-"), own_clamd.endpoint)
    yield gateway
    gateway.remove()


def health(gateway: Gateway) -> tuple[int, str]:
    where = "http://{}:{}/healthz".format(*gateway.metrics)
    try:
        with urllib.request.urlopen(where, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_with_a_clamd_as_its_package_sets_it_up_mail_is_deferred_until_the_lines_are_there(
    own_clamd: Clamd, scanned_gateway: Gateway
) -> None:
    gateway = scanned_gateway
    own_clamd.configure(**DEBIAN)
    own_clamd.start()
    gateway.start()
    gateway.add_people()
    assert gateway.deliver(messages.clean("a")).code == 451
    status, text = health(gateway)
    assert status == 503
    assert "AlertExceedsMax yes" in text
    found = {check["name"]: check for check in json.loads(gateway.run("doctor", "--json").stdout)["checks"]}
    lines = found["scanner"]["facts"]["lines"]
    assert {"AlertExceedsMax yes", "AlertEncryptedArchive yes", "MaxFileSize 400M"} <= set(lines)
    assert found["scanner limits"]["status"] == "fail"

    own_clamd.stop()
    own_clamd.configure(**dict(line.split(" ") for line in (*lines, *found["scanner limits"]["facts"]["lines"])))
    own_clamd.start()
    eventually(lambda: gateway.deliver(messages.clean("b")).code == 250, "mail is taken again")
    assert health(gateway)[0] == 200
    gateway.stop()
