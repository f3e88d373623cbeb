"""A submission that the next hop refuses: the sender finds the notice in its mailbox."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.clamd import Clamd
from tests.support.gateway import Gateway
from tests.support.messages import clean, token, written_by


@pytest.fixture
def refusing_hop() -> Iterator[int]:
    """The port of a server that knows nobody."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_refuse, args=(connection,), daemon=True).start()


def _refuse(connection: socket.socket) -> None:
    with connection, connection.makefile("rwb") as stream:
        stream.write(b"220 hop.example ESMTP\r\n")
        stream.flush()
        for line in stream:
            verb = line[:4].upper()
            answers = {b"RCPT": b"550 5.1.1 Nobody of that name\r\n", b"DATA": b"554 5.5.1 No recipients\r\n"}
            stream.write(answers.get(verb, b"250 ok\r\n"))
            stream.flush()


@pytest.mark.component("clamd")
def test_a_refused_submission_comes_back(new_gateway: Callable[..., Gateway], clamd: Clamd, refusing_hop: int) -> None:
    gateway = new_gateway(clamd.endpoint)
    (gateway.policy_dir / "gateway.toml").write_text(
        f'language = "de"\n[[routes]]\ndomain = "*"\nsmarthost = "127.0.0.1:{refusing_hop}"\n'
    )
    gateway.start()
    name = token()
    client = gateway.submit()
    client.command("MAIL FROM:<bob@acme.example> RET=HDRS ENVID=order+2B7", 250)
    client.command("RCPT TO:<kim@far.example> NOTIFY=FAILURE ORCPT=rfc822;Kim@far.example", 250)
    assert client.data(written_by("bob@acme.example", clean(name))).code == 250
    notice = gateway.delivered("bob@acme.example", name).decode()
    assert "Auto-Submitted: auto-replied" in notice
    assert "Original-Envelope-Id: order+7" in notice
    assert "Original-Recipient: rfc822; Kim@far.example" in notice
    assert "Diagnostic-Code: smtp; 550 5.1.1 Nobody of that name" in notice
    assert "Nobody of that name" in notice.partition("message/delivery-status")[0]
    gateway.stop()
