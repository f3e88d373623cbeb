"""Mail that goes into mailboxes through Dovecot's LMTP: filters and absences of users, by Sieve."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import maildir, messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.dovecot import Dovecot, ManageSieve, selected
from tests.support.dovecot import listed as folders
from tests.support.gateway import PASSWORD, Gateway, short_folder

pytestmark = [pytest.mark.component("clamd"), pytest.mark.component("dovecot")]
BOB, ALICE, CAROL = "bob@acme.example", "alice@acme.example", "carol@globex.example"
INFO = "info@acme.example"
SCRIPT = """
require ["fileinto", "mailbox", "vacation"];
if header :contains "subject" "list" { fileinto :create "Lists"; stop; }
vacation :days 1 "I am away until Monday.";
"""


@pytest.fixture(scope="module")
def gateway(clamd: Clamd, people: Path) -> Iterator[Gateway]:
    made = Gateway(short_folder("mg-"), clamd.endpoint)
    shutil.copytree(people, made.data_dir)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def dovecot(gateway: Gateway) -> Iterator[Dovecot]:
    """Started, with the gateway in front of it; what scripts send comes from the tenant's own server: Dovecot."""
    made = Dovecot(short_folder("mg-dc-"), gateway.mx)
    sockets = {"LOGIN": made.login_socket, "DOVEADM": made.doveadm_socket, "LMTP": made.lmtp_socket}
    gateway.environment |= {f"MAILGATE_{name}_SOCKET": str(path) for name, path in sockets.items()}
    (gateway.policy_dir / "tenants" / "acme.toml").write_text('[sending]\nnetworks = "127.0.0.1"\n')
    gateway.start()
    made.start()
    yield made
    gateway.stop()
    made.stop()
    shutil.rmtree(made.root)


def test_mail_arrives_with_one_return_path(gateway: Gateway, dovecot: Dovecot) -> None:
    name, large = messages.token(), messages.token()
    assert gateway.deliver(messages.clean(name), ALICE).code == 250
    found = maildir.wait_for(gateway.maildir(ALICE), name)
    assert found.replace(b"\r\n", b"\n").endswith(messages.clean(name).replace(b"\r\n", b"\n"))
    assert found.count(b"Return-Path: <sender@sender.example>") == found.count(b"Return-Path:") == 1
    assert gateway.deliver(messages.of_size(large, 200_000), ALICE).code == 250
    assert len(maildir.wait_for(gateway.maildir(ALICE), large)) > 190_000


def test_a_script_files_mail_and_answers_while_its_owner_is_away(gateway: Gateway, dovecot: Dovecot) -> None:
    with ManageSieve(dovecot) as sieve:
        sieve.login(BOB, PASSWORD)
        sieve.put("away", SCRIPT)
    listed, asked = f"list-{messages.token()}", messages.token()
    with gateway.submit(CAROL) as smtp:
        for name in (listed, asked):
            message = messages.written_by(CAROL, messages.clean(name)).replace(
                b"To: recipient@acme.example", b"To: bob@acme.example"
            )
            assert smtp.transfer(CAROL, [BOB], message).code == 250
    bob = dovecot.session(BOB, PASSWORD)
    eventually(lambda: selected(bob, "Lists", listed), "the mail in the folder of the script")
    eventually(lambda: selected(bob, "INBOX", asked), "the other mail in the INBOX")
    answer = maildir.wait_for(gateway.maildir(CAROL), "I am away until Monday.")
    assert b"Auto-Submitted: auto-replied" in answer
    assert answer.startswith(b"Return-Path: <>")
    assert (gateway.maildir(BOB) / "dovecot" / ".dovecot.lda-dupes").exists()
    assert sorted(folders(bob)) == ["Drafts", "INBOX", "Junk", "Lists", "Sent", "Trash"]
    bob.shutdown()


def test_while_dovecot_is_away_mail_waits(gateway: Gateway, dovecot: Dovecot) -> None:
    dovecot.stop()
    name = messages.token()
    assert gateway.deliver(messages.clean(name), ALICE).code == 250
    [waiting] = eventually(lambda: gateway.json("queue", "list"), "the mail in the queue")
    assert "LMTP" in str(waiting)
    dovecot.start()
    gateway.cli("queue", "retry", waiting["queue_id"])
    maildir.wait_for(gateway.maildir(ALICE), name)


def test_behind_one_dovecot_each_tenant_answers_as_itself_and_for_an_alias_that_the_script_names(
    gateway: Gateway, dovecot: Dovecot
) -> None:
    """As docs/tenants.md says: the server's address is in both policies, and notices carry their sender."""
    gateway.cli("alias", "add", "acme", INFO, ALICE)
    (gateway.policy_dir / "tenants" / "globex.toml").write_text('[sending]\nnetworks = "127.0.0.1"\n')
    gateway.cli("reload")
    dovecot.stop()
    with (dovecot.root / "dovecot.conf").open("a") as file:
        file.write("\nplugin {\n  sieve_vacation_send_from_recipient = yes\n}\n")
    dovecot.start()
    for login, addresses in ((CAROL, ""), (ALICE, f':addresses "{INFO}" :from "{INFO}"')):
        with ManageSieve(dovecot) as sieve:
            sieve.login(login, PASSWORD)
            sieve.put("away", f'require "vacation"; vacation :days 1 {addresses} "I am away.";')
    for to in (CAROL, INFO):
        message = messages.clean(messages.token()).replace(b"To: bob@acme.example", f"To: {to}".encode())
        assert gateway.deliver(message, to).code == 250
    wanted = {("acme", ALICE, "sender@sender.example"), ("globex", CAROL, "sender@sender.example")}
    eventually(lambda: outbound(gateway) == wanted, "a notice of each tenant on its way out")


def outbound(gateway: Gateway) -> set[tuple[str, str, str]]:
    rows = gateway.json("queue", "list")
    return {(row["tenant"], row["reverse_path"], row["forward_path"]) for row in rows if not row["mailbox"]}
