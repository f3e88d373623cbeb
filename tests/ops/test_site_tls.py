"""Certificates of the MTA-STS web server: chosen by name, read again, said to be wrong before the start."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from mailgate.model.errors import UserError
from mailgate.ops import doctor
from mailgate.ops.checks import Status
from mailgate.ops.site_tls import SiteTls
from tests.ops.conftest import Make
from tests.support.certificates import Authority

NAME = "mta-sts.acme.example"


def certify(folder: Path, authority: Authority, name: str) -> None:
    issued = authority.issue(name)
    (folder / name).mkdir()
    (folder / name / "fullchain.pem").write_bytes(issued.chain.read_bytes())
    (folder / name / "privkey.pem").write_bytes(issued.key.read_bytes())


def offered(site: SiteTls, authority: Authority, name: str) -> bool:
    """Whether a client that trusts the authority comes to TLS with `name`."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(authority.path)).wrap_bio(here, there, server_hostname=name)
    server = site.context.wrap_bio(there, here, server_side=True)
    try:
        for _ in range(4):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLError:
        return False
    return True


def test_by_name_and_after_a_reload(tmp_path: Path) -> None:
    authority, folder = Authority(tmp_path), tmp_path / "live"
    folder.mkdir()
    (folder / "README").touch()
    certify(folder, authority, NAME)
    site = SiteTls(folder)
    assert offered(site, authority, NAME) and offered(site, authority, NAME.upper())
    assert not offered(site, authority, "mta-sts.globex.example")
    certify(folder, authority, "mta-sts.globex.example")
    site.reload()
    assert offered(site, authority, "mta-sts.globex.example")
    (folder / NAME / "privkey.pem").write_text("none")
    site.reload()
    assert offered(site, authority, NAME), "what was good stays"


@pytest.mark.parametrize("spoilt", ["privkey.pem", "fullchain.pem"])
def test_what_is_wrong_costs_its_name_only(tmp_path: Path, spoilt: str) -> None:
    authority, other = Authority(tmp_path), "mta-sts.globex.example"
    folder = tmp_path / "live"
    folder.mkdir()
    for name in (NAME, other):
        certify(folder, authority, name)
    assert doctor.site_certificates(folder)[0].status is Status.OK
    (folder / NAME / spoilt).write_text("none")
    site = SiteTls(folder)
    fault = f"MAILGATE_STS_CERTS {folder}/{NAME}/fullchain.pem with privkey.pem"
    assert offered(site, authority, other)
    assert not offered(site, authority, NAME)
    (found,) = doctor.site_certificates(folder)
    assert found.status is Status.FAIL
    assert fault in found.text
    with pytest.raises(UserError, match="Name a folder"):
        SiteTls(tmp_path / "missing")


@pytest.mark.parametrize(("listen", "is_right"), [("127.0.0.1:8080", True), ("[::1]:80", True), ("0.0.0.0:80", False)])
def test_plain_http_stays_on_the_machine(make_settings: Make, listen: str, is_right: bool, tmp_path: Path) -> None:
    assert make_settings(sts_listen=listen, sts_certs=tmp_path)
    if is_right:
        assert make_settings(sts_listen=listen)
        return
    with pytest.raises(ValidationError, match="needs sts_certs"):
        make_settings(sts_listen=listen)
