"""A tenant's server is let in by its client certificate: Postfix and openssl as clients of the running gateway."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import messages
from tests.support.certificates import Authority, Issued
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway, short_folder
from tests.support.next_hop import PostfixHop
from tests.support.scripted_hop import ScriptedHop
from tests.support.smtp import SmtpClient

pytestmark = pytest.mark.component("clamd")
JOE, FAR = "joe@acme.example", "someone@far.example"
_CLIENT = """\
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{port}
smtp_tls_security_level = encrypt
smtp_tls_cert_file = {shown.chain}
smtp_tls_key_file = {shown.key}
smtp_tls_loglevel = 1
"""
_PIN = '[[sending.certificates]]\nname = "{name}"\nsha256 = "{sha256}"\n'


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    """Nobody trusts it."""
    folder = short_folder("mg-client-ca-")
    yield Authority(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def outside() -> Iterator[ScriptedHop]:
    """Takes all that leaves."""
    hop, loop = ScriptedHop(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(hop.listen(), loop).result(10)
    yield hop
    asyncio.run_coroutine_threadsafe(hop.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def gateway(new_gateway: Callable[..., Gateway], clamd: Clamd, outside: ScriptedHop) -> Iterator[Gateway]:
    made = new_gateway(clamd.endpoint)
    (made.policy_dir / "gateway.toml").write_text(f'[[routes]]\ndomain = "*"\nsmarthost = "127.0.0.1:{outside.port}"\n')
    (made.policy_dir / "tenants").mkdir(exist_ok=True)
    made.start()
    yield made
    made.stop()


def pin(gateway: Gateway, *certificates: Issued) -> None:
    text = "".join(
        _PIN.format(name=f"server {number}", sha256=hashlib.sha256(each.der).hexdigest())
        for number, each in enumerate(certificates, 1)
    )
    (gateway.policy_dir / "tenants" / "acme.toml").write_text(text)
    gateway.cli("reload")


def openssl(port: int, shown: Issued, *commands: str) -> str:
    """What the server says to `commands` inside TLS. openssl reads `R` and `Q` at the start of a line as orders."""
    options = f"-quiet -ign_eof -crlf -starttls smtp -connect 127.0.0.1:{port} -cert {shown.chain} -key {shown.key}"
    done = subprocess.run(
        ["openssl", "s_client", *options.split()],
        input="".join(f"{line}\n" for line in ("EHLO mail.acme.example", *commands, "quit")),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_openssl_before_and_after_a_reload(gateway: Gateway, authority: Authority) -> None:
    good = authority.issue("mail.acme.example", label="good")
    expired = authority.issue("mail.acme.example", label="expired", is_expired=True)
    port = gateway.mx[1]
    commands = (f"MAIL FROM:<{JOE}>", f"rcpt TO:<{FAR}>")
    assert "550 5.7.1" in openssl(port, good, *commands), "nobody asks for it yet"
    pin(gateway, good, expired)
    eventually(lambda: "250 2.1.5" in openssl(port, good, *commands), "the reload in force")
    said = openssl(port, expired, *commands)
    assert '554 5.7.8 The client certificate "server 2" has expired on' in said, said
    assert "550 5.7.1" in openssl(port, authority.issue("mx.provider.example"), *commands)
    pin(gateway)
    eventually(lambda: "550 5.7.1" in openssl(port, good, *commands), "the pin gone")


@pytest.mark.component("postfix", "root")
def test_postfix_sends_through_us(gateway: Gateway, authority: Authority, outside: ScriptedHop, tmp_path: Path) -> None:
    shown = authority.issue("mail.acme.example", label="postfix")
    pin(gateway, shown)
    server = PostfixHop(
        short_folder("mg-client-"), shown, "none.example", more=_CLIENT.format(port=gateway.mx[1], shown=shown)
    )
    server.start()
    try:
        name = messages.token()
        with SmtpClient(("127.0.0.1", server.none)) as client:
            client.hello()
            assert client.transfer(JOE, [FAR], messages.clean(name)).code == 250
        arrived = eventually(
            lambda: next((each for each in outside.transactions if name.encode() in (each.message or b"")), None),
            f"the message outside\n{server.log()[-2000:]}",
        )
    finally:
        server.stop()
    assert arrived is not None and arrived.rcpt[0].startswith(f"RCPT TO:<{FAR}>")
    told = gateway.cli("trace", f"<{name}@sender.example>")
    assert f'let in by certificate "server 1" (sha256 {hashlib.sha256(shown.der).hexdigest()})' in unwrapped(told), told
