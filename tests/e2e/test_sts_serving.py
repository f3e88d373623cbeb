"""A hosted domain's MTA-STS policy: served by the gateway, taken by our own fetcher, as `mailgate dns records` says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailgate.transport.https import HttpsAnswer, HttpsError, HttpsRequest, ask
from mailgate.transport.mta_sts import Mode, StsPolicy
from mailgate.transport.sts_cache import fetch_policy
from tests.relay.harness import FakeNames
from tests.support.certificates import Authority, Issued
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway
from tests.support.ports import free_port

pytestmark = pytest.mark.component("clamd")
TESTING = '[mta_sts]\nmode = "testing"\nmax_age = 86400\n'


def lay_out(folder: Path, name: str, issued: Issued) -> None:
    """As ACME clients do."""
    (folder / name).mkdir(parents=True)
    (folder / name / "fullchain.pem").write_bytes(issued.chain.read_bytes())
    (folder / name / "privkey.pem").write_bytes(issued.key.read_bytes())


def fetched(domain: str, port: int, authority: Authority) -> StsPolicy:
    """By the relay's own fetcher, which trusts this authority here."""
    context = ssl.create_default_context(cafile=str(authority.path))
    names = FakeNames()
    names.put(f"mta-sts.{domain}", "A", "127.0.0.1")

    async def fetch(request: HttpsRequest) -> HttpsAnswer:
        return await ask(replace(request, port=port), context)

    return asyncio.run(fetch_policy(names, domain, lambda address: True, fetch))


def test_a_policy_from_file_to_fetcher(new_gateway: Callable[..., Gateway], clamd: Clamd, tmp_path: Path) -> None:
    authority, certificates, port = Authority(tmp_path), tmp_path / "live", free_port()
    lay_out(certificates, "mta-sts.acme.example", authority.issue("mta-sts.acme.example"))
    gateway = new_gateway(clamd.endpoint, STS_LISTEN=f"127.0.0.1:{port}", STS_CERTS=str(certificates))
    (gateway.policy_dir / "tenants").mkdir(exist_ok=True)
    (gateway.policy_dir / "tenants" / "acme.toml").write_text(TESTING)
    gateway.start()
    found = fetched("acme.example", port, authority)
    assert (found.mode, found.mx, found.max_age) == (Mode.TESTING, ("mx.gateway.example",), 86_400)
    shown = gateway.json("dns", "records", "acme.example")
    assert shown["mta_sts_policy"] == found.text
    with pytest.raises(HttpsError, match="SSL"):
        fetched("globex.example", port, authority)

    lay_out(certificates, "mta-sts.globex.example", authority.issue("mta-sts.globex.example"))
    (gateway.policy_dir / "tenants" / "acme.toml").write_text('[mta_sts]\nmode = "off"\n')
    gateway.cli("reload")

    def is_served() -> bool:
        try:
            return fetched("globex.example", port, authority).mode is Mode.ENFORCE
        except HttpsError:
            return False

    eventually(is_served, "the new certificate in use")
    with pytest.raises(HttpsError, match="404"):
        fetched("acme.example", port, authority)
    assert gateway.json("dns", "records", "acme.example")["mta_sts_policy"] == ""
    gateway.stop()
