"""The whole life of mail in quarantine through the commands, on a running gateway with a real scanner."""

from __future__ import annotations

import email
import email.policy
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailgate.senderauth import signing_key
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.support import maildir, messages
from tests.support.clamd import EICAR_NAME, Clamd
from tests.support.gateway import Gateway, short_folder

ACME = ("--tenant", "acme")
BOB, ALICE = "bob@acme.example", "alice@acme.example"
KEY = signing_key.new_rsa()
POLICY = """
[scanning]
infected = "quarantine"

[quarantine]
recipients_release = ["encrypted"]
digest = "daily"
digest_hour = 0

[[attachments]]
name = "no programs"
action = "quarantine"
class = "executable"
"""

pytestmark = pytest.mark.component("clamd")


@pytest.fixture(scope="module")
def gateway(people: Path, clamd: Clamd) -> Iterator[Gateway]:
    made = Gateway(short_folder("mg-"), clamd.endpoint)
    shutil.copytree(people, made.data_dir)
    (made.policy_dir / "gateway.toml").write_text(POLICY)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


def encrypted(token: str) -> bytes:
    """With a DKIM signature of its sender."""
    archive = encrypted_zip("list.txt", b"names\r\n")
    raw = messages.with_attachment(token, archive, "list.zip", "application/zip")
    private = KEY.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    signature: bytes = dkim.sign(raw, b"s1", b"sender.example", private, include_headers=[b"from", b"subject"])
    return signature + raw


def listed(gateway: Gateway, *options: str) -> list[tuple[str, str]]:
    rows = gateway.json("quarantine", "list", *ACME, *options)
    return [(row["queue_id"], row["forward_path"]) for row in rows]


def notice_about(gateway: Gateway, queue_id: str, address: str = BOB) -> EmailMessage:
    raw = maildir.wait_for(gateway.maildir(address), queue_id)
    found = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(found, EmailMessage)
    return found


def write_to(gateway: Gateway, user: str, address: str) -> int:
    with gateway.submit(user) as client:
        client.command(f"MAIL FROM:<{user}>")
        client.command(f"RCPT TO:<{address}>")
        return client.data(b"From: " + user.encode() + b"\r\nSubject: Re: Held for you\r\n\r\n\r\n").code


def passes_dkim(raw: bytes) -> bool:
    record = KEY.record.encode()
    return bool(dkim.verify(raw, dnsfunc=lambda name, timeout=5: record))


def events(gateway: Gateway, queue_id: str, kind: str) -> list[dict[str, Any]]:
    (timeline,) = gateway.json("trace", queue_id)
    return [event for event in timeline["events"] if event["kind"] == kind]


def test_an_encrypted_archive_is_told_of_and_released_by_its_recipient(gateway: Gateway) -> None:
    token = messages.token()
    sent = encrypted(token)
    name = gateway.deliver(sent, BOB, ALICE).queue_id
    assert listed(gateway, "--rule", "unscanned.encrypted") == [(name, BOB), (name, ALICE)]
    notice = notice_about(gateway, name)
    assert (notice["Auto-Submitted"], notice["Return-Path"]) == ("auto-generated", "<>")
    address = notice["Reply-To"].addresses[0].addr_spec
    with gateway.connect() as outsider:
        outsider.command(f"MAIL FROM:<{BOB}>", 250)
        outsider.command(f"RCPT TO:<{address}>", 550)
    assert write_to(gateway, ALICE, address) == 550
    assert listed(gateway) == [(name, BOB), (name, ALICE)]
    assert write_to(gateway, BOB, address) == 250
    delivered = gateway.delivered(BOB, token)
    assert maildir.below_trace_headers(delivered, sent) == sent
    assert passes_dkim(sent)
    assert passes_dkim(delivered)
    assert [(event["recipient"], event["facts"]["by"]) for event in events(gateway, name, "released")] == [(BOB, BOB)]
    assert write_to(gateway, BOB, address) == 550  # once
    assert listed(gateway) == [(name, ALICE)]

    assert "scanned again: not-scanned; released" in gateway.cli("quarantine", "release", name, *ACME)
    assert maildir.below_trace_headers(gateway.delivered(ALICE, token), sent) == sent
    assert gateway.run("quarantine", "show", name, *ACME).returncode == 1


def test_infected_mail_is_shown_and_released_by_a_person_only(gateway: Gateway) -> None:
    token = messages.token()
    sent = messages.infected(token)
    name = gateway.deliver(sent, BOB).queue_id
    shown = gateway.cli("quarantine", "show", name, *ACME)
    assert EICAR_NAME in shown
    assert "X5O!P%" not in shown
    words = ["--reason", "a sample for the laboratory", "--confirm-infected"]
    refused = gateway.run("quarantine", "release", name, *ACME, *words)
    assert refused.returncode == 1
    needed = refused.stderr.partition("--confirm-signature ")[2].partition(")")[0]
    assert needed.startswith(EICAR_NAME)
    wrong = gateway.run("quarantine", "release", name, *ACME, *words, "--confirm-signature", "Another.Name")
    assert wrong.returncode == 1
    gateway.cli("quarantine", "release", name, *ACME, *words, "--confirm-signature", needed)
    assert maildir.below_trace_headers(gateway.delivered(BOB, token), sent) == sent
    (released,) = events(gateway, name, "released")
    assert released["facts"]["reason"] == "a sample for the laboratory"
    assert released["facts"]["by"]


def test_search_digest_and_deletion(gateway: Gateway) -> None:
    name = gateway.deliver(messages.executable(messages.token()), BOB, ALICE, sender="eve@tools.example").queue_id
    digest = notice_about(gateway, name, ALICE)
    assert digest["Reply-To"] is None
    assert BOB not in digest.get_content()
    now = datetime.now(UTC)
    before, after = ((now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M") for hours in (-1, 1))
    options = ("--rule", "no programs", "--sender", "eve@tools.example", "--recipient", BOB)
    assert listed(gateway, *options, "--since", before, "--until", after) == [(name, BOB)]
    assert listed(gateway, *options, "--since", after) == []
    assert gateway.run("quarantine", "list", *ACME, "--since", "yesterday").returncode == 2
    assert "deleted: " + BOB in gateway.cli("quarantine", "delete", name, *ACME, "--recipient", BOB, "--reason", "junk")
    assert listed(gateway, "--rule", "no programs") == [(name, ALICE)]
    assert gateway.run("quarantine", "delete", name, "--tenant", "globex").returncode == 1


def test_the_daily_figure(gateway: Gateway) -> None:
    (row,) = gateway.json("inspection", "report", *ACME, "--days", "1")
    assert row["tenant"] == "acme"
    assert row["not_scanned"]["encrypted"] >= 1
    assert row["infected"] >= 1
    assert 0 < row["share"] < 1
    assert row["parts"] == row["clean"] + row["infected"] + sum(row["not_scanned"].values())
    assert "acme" in gateway.cli("inspection", "report", "--days", "2")
