"""The server's certificate: made, checked, read again; what TLS it offers."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest

from mailgate.model.errors import UserError
from mailgate.ops import layout, tls
from tests.ops.conftest import Make
from tests.support.certificates import Authority

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC)


def test_a_certificate_is_made_once_for_the_host_name(make_settings: Make) -> None:
    settings = make_settings()
    pair = tls.certificate(settings, NOW)
    first = pair.leaf()
    assert first.not_valid_after_utc - NOW == tls.SELF_SIGNED_DAYS * DAY
    assert pair.key.stat().st_mode & 0o077 == 0
    assert tls.certificate(settings, NOW + DAY).leaf() == first


def test_it_is_made_anew_near_its_end_and_for_another_name(make_settings: Make) -> None:
    first = tls.certificate(make_settings(), NOW).leaf()
    later = tls.certificate(make_settings(), NOW + (tls.SELF_SIGNED_DAYS - tls.RENEW_DAYS) * DAY).leaf()
    assert later != first
    other = tls.certificate(make_settings(hostname="other.example"), NOW).leaf()
    assert "other.example" in other.subject.rfc4514_string()


def test_a_host_name_longer_than_a_common_name_may_be(make_settings: Make) -> None:
    tls.certificate(make_settings(hostname=".".join(["label" * 4] * 5)), NOW).check()


def test_missing_and_wrong_files_are_named(make_settings: Make, tmp_path: Path) -> None:
    own = tls.certificate(make_settings(), NOW)
    missing = tmp_path / "missing.pem"
    with pytest.raises(UserError, match=rf"MAILGATE_TLS_CERT {missing}: No such file"):
        tls.certificate(make_settings(tls_cert=missing, tls_key=own.key))
    with pytest.raises(UserError, match=rf"MAILGATE_TLS_KEY {missing}: No such file"):
        tls.certificate(make_settings(tls_cert=own.chain, tls_key=missing))
    missing.write_text("not PEM")
    with pytest.raises(UserError, match="MAILGATE_TLS_CERT"):
        tls.certificate(make_settings(tls_cert=missing, tls_key=own.key))


def test_a_key_of_another_certificate_is_refused(make_settings: Make, tmp_path: Path) -> None:
    one = tls.certificate(make_settings(), NOW)
    other = tls.certificate(make_settings(data_dir=tmp_path / "other"), NOW)
    with pytest.raises(UserError, match="KEY_VALUES_MISMATCH"):
        tls.certificate(make_settings(tls_cert=one.chain, tls_key=other.key))


def handshake(server: ssl.SSLContext, ciphers: str = "", **limits: ssl.TLSVersion) -> tuple[str, str, bytes]:
    """Version, cipher and certificate that a client with these limits gets."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    if ciphers:
        client.set_ciphers(ciphers)
    for name, value in limits.items():
        setattr(client, name, value)
    try:
        with client.wrap_socket(ours, server_hostname="mx.gateway.example") as session:
            cipher = session.cipher()
            return str(session.version()), cipher[0] if cipher else "", session.getpeercert(binary_form=True) or b""
    finally:
        thread.join()


@pytest.mark.parametrize("name", ["mx", "submission", "submissions"])
def test_tls_13_and_forward_secret_tls_12(make_settings: Make, name: str) -> None:
    context = tls.ServerTls(make_settings()).contexts[name]
    assert handshake(context)[0] == "TLSv1.3"
    version, cipher, _ = handshake(context, maximum_version=ssl.TLSVersion.TLSv1_2)
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-")


OLD = ("TLSv1", "TLSv1_1")


@pytest.fixture
def rsa(tmp_path: Path) -> dict[str, Path]:
    issued = Authority(tmp_path, "Some CA").issue("mx.gateway.example", is_rsa=True)
    return {"tls_cert": issued.chain, "tls_key": issued.key}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["mx", "submission", "submissions"])
def test_no_ticket_is_given(make_settings: Make, name: str, version: ssl.TLSVersion) -> None:
    """Its key would live as long as the process does."""
    server = tls.ServerTls(make_settings()).contexts[name]
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as session:
            session.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode, client.maximum_version = False, ssl.CERT_NONE, version
    with client.wrap_socket(ours) as session:
        assert session.recv(1) == b"x"  # what comes with it: TLS 1.3 gives tickets after the handshake
        known = session.session
        assert known is None or not known.has_ticket
    thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", OLD)
def test_old_tls_is_better_than_none_on_mx(make_settings: Make, rsa: dict[str, Path], version: str) -> None:
    found = ssl.TLSVersion[version]
    limits = {"minimum_version": found, "maximum_version": found}
    served = tls.ServerTls(make_settings(**rsa)).contexts
    assert handshake(served["mx"], "ALL:@SECLEVEL=0", **limits)[0] == version.replace("_", ".")
    with pytest.raises(OSError):
        handshake(served["submission"], "ALL:@SECLEVEL=0", **limits)
    strict = tls.ServerTls(make_settings(mx_tls_minimum="1.2", **rsa)).contexts["mx"]
    with pytest.raises(OSError):
        handshake(strict, "ALL:@SECLEVEL=0", **limits)


@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"]
)
def test_suites_of_old_senders(make_settings: Make, rsa: dict[str, Path], cipher: str) -> None:
    served = tls.ServerTls(make_settings(**rsa)).contexts
    at_most = {"maximum_version": ssl.TLSVersion.TLSv1_2}
    assert handshake(served["mx"], cipher, **at_most)[1] == cipher
    if cipher.startswith("DHE"):
        assert handshake(served["submission"], cipher, **at_most)[1] == cipher
    else:
        with pytest.raises(OSError):
            handshake(served["submission"], cipher, **at_most)


@pytest.mark.parametrize("cipher", ["aNULL", "eNULL", "PSK", "RC4", "EXP"])
def test_suites_that_protect_nothing(make_settings: Make, cipher: str) -> None:
    for context in tls.ServerTls(make_settings()).contexts.values():
        names = {found["name"] for found in context.get_ciphers()}
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            client.set_ciphers(f"{cipher}:@SECLEVEL=0")
        except ssl.SSLError:
            continue
        assert not names & {found["name"] for found in client.get_ciphers() if not found["name"].startswith("TLS_")}


def test_the_floor_can_be_raised(make_settings: Make) -> None:
    served = tls.ServerTls(make_settings(mx_tls_minimum="1.3", submission_tls_minimum="1.3")).contexts
    for name in ("mx", "submission", "submissions"):
        assert handshake(served[name])[0] == "TLSv1.3"
        with pytest.raises(OSError):
            handshake(served[name], maximum_version=ssl.TLSVersion.TLSv1_2)


def test_a_new_certificate_is_taken_up_and_a_broken_one_is_not(make_settings: Make, tmp_path: Path) -> None:
    first = tls.certificate(make_settings(data_dir=tmp_path / "a"))
    settings = make_settings(tls_cert=first.chain, tls_key=first.key)
    layout.prepare(settings)
    server = tls.ServerTls(settings)
    before = handshake(server.contexts["mx"])[2]
    second = tls.certificate(make_settings(data_dir=tmp_path / "b"))
    first.chain.write_bytes(second.chain.read_bytes())
    server.reload()
    assert handshake(server.contexts["mx"])[2] == before
    first.key.write_bytes(second.key.read_bytes())
    server.reload()
    assert handshake(server.contexts["mx"])[2] != before
