"""What the tests of the relay share: an authority, a DNS server, a real Postfix as the next hop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from mailgate.transport.context import client_context
from tests.support.certificates import Authority
from tests.support.dns_server import DnsServer
from tests.support.exim_hop import EximHop
from tests.support.gateway import short_folder
from tests.support.next_hop import PostfixHop
from tests.support.stunnel_hop import StunnelHop


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    folder = short_folder("mg-ca-")
    yield Authority(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """The system trusts this authority, and no other."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    client_context.cache_clear()
    yield authority
    client_context.cache_clear()


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="session")
def postfix_hop(authority: Authority) -> Iterator[PostfixHop]:
    hop = PostfixHop(short_folder("mg-hop-"), authority.issue("mx.hop.example"), "hop.example, other.example")
    hop.start()
    yield hop
    hop.stop()


@pytest.fixture(scope="session")
def exim_hop(authority: Authority) -> Iterator[EximHop]:
    hop = EximHop(short_folder("mg-exim-"), authority.issue("mx.exim.example"), "hop.example, other.example")
    hop.start()
    yield hop
    hop.stop()


@pytest.fixture
def postfix_7bit(authority: Authority) -> Iterator[PostfixHop]:
    more = "smtpd_discard_ehlo_keywords = 8bitmime, smtputf8, chunking\n"
    hop = PostfixHop(short_folder("mg-hop-"), authority.issue("mx.hop.example"), "hop.example", more=more)
    hop.start()
    yield hop
    hop.stop()


@pytest.fixture
def exim_7bit(authority: Authority) -> Iterator[EximHop]:
    more = "accept_8bitmime = false\n"
    hop = EximHop(short_folder("mg-exim-"), authority.issue("mx.exim.example"), "hop.example", more=more)
    hop.start()
    yield hop
    hop.stop()


@pytest.fixture(scope="session")
def old_peer(authority: Authority) -> Iterator[StunnelHop]:
    """A port where only AES128-GCM-SHA256 of TLS 1.2 is spoken."""
    root = short_folder("mg-stunnel-")
    hop = StunnelHop(root, authority.issue("mx.hop.example", label="stunnel", is_rsa=True))
    hop.start()
    yield hop
    hop.stop()
    shutil.rmtree(root, ignore_errors=True)
