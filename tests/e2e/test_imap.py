"""A real Dovecot on the gateway's mailboxes, configured as in the local stack: who sees what, and until when."""

from __future__ import annotations

import imaplib
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.dovecot import Dovecot, listed, selected
from tests.support.gateway import PASSWORD, Gateway, short_folder
from tests.support.smtp import SmtpClient

pytestmark = [pytest.mark.component("clamd"), pytest.mark.component("dovecot")]
BOB, ALICE, CAROL = "bob@acme.example", "alice@acme.example", "carol@globex.example"
TEAM = "team@acme.example"
SCOPES = ("imap", "smtp")


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    made = Dovecot(short_folder("mg-dc-"))
    yield made
    made.stop()
    shutil.rmtree(made.root)


@pytest.fixture(scope="module")
def gateway(clamd: Clamd, people: Path, dovecot: Dovecot) -> Iterator[Gateway]:
    made = Gateway(
        short_folder("mg-"),
        clamd.endpoint,
        LOGIN_SOCKET=str(dovecot.login_socket),
        DOVEADM_SOCKET=str(dovecot.doveadm_socket),
    )
    shutil.copytree(people, made.data_dir)
    made.cli("mailbox", "add", "acme", TEAM, "--user", BOB)
    made.start()
    dovecot.start()
    yield made
    try:
        made.stop()
    finally:
        made.remove()


@pytest.fixture
def sessions(gateway: Gateway, dovecot: Dovecot) -> Iterator[Sessions]:
    opened = Sessions(dovecot)
    yield opened
    opened.close()


class Sessions:
    """Logged-in sessions that are closed at the end of the test, whether they still live or not."""

    def __init__(self, dovecot: Dovecot) -> None:
        self._dovecot = dovecot
        self._open: list[imaplib.IMAP4_SSL] = []

    def __call__(self, login: str, password: str = PASSWORD) -> imaplib.IMAP4_SSL:
        client = self._dovecot.session(login, password)
        self._open.append(client)
        return client

    def close(self) -> None:
        for client in self._open:
            client.shutdown()


def is_ended(client: imaplib.IMAP4) -> bool:
    """Whether the server has ended the session."""
    try:
        client.noop()
    except imaplib.IMAP4.abort:
        return True
    return False


def answer(client: imaplib.IMAP4, command: str, name: str, *more: str) -> str:
    """What the server says to a command on the mailbox `name`, without times and without the name."""
    kind, [text] = client.xatom(command, f'"{name}"', *more)
    told = [f"{kind} {text.decode().partition(' (')[0]}"]
    told += sorted(f"{key} {value}" for key, value in client.untagged_responses.items() if key != "CAPABILITY")
    client.untagged_responses.clear()
    return " ".join(told).replace(name, "NAME")


def test_the_own_mailbox_is_the_inbox_and_a_shared_one_stands_beside_it(gateway: Gateway, sessions: Sessions) -> None:
    own, shared = messages.token(), messages.token()
    assert gateway.deliver(messages.clean(own), BOB).code == 250
    assert gateway.deliver(messages.clean(shared), TEAM).code == 250
    bob = sessions(BOB)
    assert {"INBOX", f"Shared/{TEAM}"} <= set(listed(bob))
    for name, token in (("INBOX", own), (f"Shared/{TEAM}", shared)):
        eventually(lambda name=name, token=token: selected(bob, name, token), f"the mail in {name}")


def test_nobody_sees_what_is_not_assigned(gateway: Gateway, sessions: Sessions) -> None:
    """Not by a list, not by a guessed name; and a guess reads like any other name."""
    ids = [Path(gateway.maildir(address)).name for address in (TEAM, BOB, CAROL)]
    for login in (ALICE, CAROL):
        client = sessions(login)
        assert [name for name in listed(client) if name.startswith("Shared") or "@" in name] == []
        guesses = [f"Shared/{TEAM}", f"Shared/{TEAM}/INBOX", TEAM, f"Shared/{BOB}", f"../{ids[0]}", *ids]
        for guess in guesses:
            for command in ("SELECT", "EXAMINE", "STATUS", "GETACL", "MYRIGHTS", "DELETE", "SUBSCRIBE"):
                more = ["(MESSAGES)"] if command == "STATUS" else []
                told = answer(client, command, guess, *more)
                nothing = "Shared/nobody@acme.example" if "." in guess else "nobody"
                assert told == answer(client, command, nothing, *more), (command, guess)
                assert command in ("MYRIGHTS", "SUBSCRIBE") or told.startswith("NO ")


def test_rights_hold_in_the_shared_mailbox(gateway: Gateway, sessions: Sessions) -> None:
    box = "readers@acme.example"
    gateway.admin("mailbox.add", tenant="acme", address=box)
    gateway.admin("mailbox.assign", mailbox=box, user=ALICE, rights="read")
    token = messages.token()
    assert gateway.deliver(messages.clean(token), box).code == 250
    alice = sessions(ALICE)
    eventually(lambda: selected(alice, f"Shared/{box}", token), "the mail")
    assert alice.xatom("MYRIGHTS", f'"Shared/{box}"')[0] == "OK"
    assert alice.untagged_responses["MYRIGHTS"][-1].split()[-1] == b"lrs"
    _, flags = alice.store("1", "+FLAGS", r"(\Deleted)")
    assert rb"\Deleted" not in b"".join(flag for flag in flags if flag)
    assert "ermission denied" in answer(alice, "COPY 1", f"Shared/{box}")
    assert answer(alice, "CREATE", f"Shared/{box}/sub").startswith("NO [NOPERM]")
    assert answer(alice, "SETACL", f"Shared/{box}", CAROL, "lrs").startswith("NO [NOPERM]")
    gateway.admin("mailbox.rights", mailbox=box, user=ALICE, rights="read,write,delete")
    eventually(lambda: is_ended(alice), "the session with the old rights to end")
    alice = sessions(ALICE)
    assert alice.create(f"Shared/{box}/sub")[0] == "OK"
    selected(alice, f"Shared/{box}", token)
    assert rb"\Deleted" in alice.store("1", "+FLAGS", r"(\Deleted)")[1][0]
    assert alice.expunge()[0] == "OK"


def test_nobody_hands_a_mailbox_on_by_imap(gateway: Gateway, sessions: Sessions) -> None:
    """Not even who may administer it: assignments are the gateway's."""
    bob = sessions(BOB)
    assert answer(bob, "SETACL", "INBOX", ALICE, "lr").startswith("NO [NOPERM]")
    assert answer(bob, "GETACL", "INBOX").startswith("NO [NOPERM]")


def test_an_assignment_that_ends_ends_the_session_at_once(gateway: Gateway, sessions: Sessions) -> None:
    """Exclusively bob's from now on: alice, who reads it at this moment, is out, and bob goes on undisturbed."""
    box = "exclusive@acme.example"
    gateway.admin("mailbox.add", tenant="acme", address=box, users=[BOB, ALICE])
    token = messages.token()
    assert gateway.deliver(messages.clean(token), box).code == 250
    alice, bob = sessions(ALICE), sessions(BOB)
    for client in (alice, bob):
        eventually(lambda client=client: selected(client, f"Shared/{box}", token), "the mail")
    gateway.admin("mailbox.unassign", mailbox=box, user=ALICE)
    eventually(lambda: is_ended(alice), "the session to end")
    assert not is_ended(bob)
    again = sessions(ALICE)
    assert f"Shared/{box}" not in listed(again)
    assert answer(again, "SELECT", f"Shared/{box}") == answer(again, "SELECT", f"Shared/{TEAM}")


def test_without_any_assignee_a_mailbox_is_nobodys(gateway: Gateway, sessions: Sessions) -> None:
    box = "orphan@acme.example"
    gateway.admin("mailbox.add", tenant="acme", address=box, users=[BOB])
    gateway.admin("mailbox.unassign", mailbox=box, user=BOB)
    assert gateway.deliver(messages.clean(messages.token()), box).code == 250
    for login in (BOB, ALICE, CAROL):
        assert f"Shared/{box}" not in listed(sessions(login))


def test_a_new_password_and_a_disabled_user_end_sessions(gateway: Gateway, sessions: Sessions) -> None:
    login = "leaver@acme.example"
    gateway.admin("user.add", tenant="acme", login=login, password=PASSWORD)
    before = sessions(login)
    gateway.admin("user.passwd", login=login, password=f"{PASSWORD} anew")
    eventually(lambda: is_ended(before), "the session of the old password to end")
    after = sessions(login, f"{PASSWORD} anew")
    gateway.admin("user.disable", login=login)
    eventually(lambda: is_ended(after), "the session of the disabled user to end")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        sessions(login, f"{PASSWORD} anew")


@pytest.mark.parametrize("local", ["a*b", "a?b", "j\u00f6rg", "x'{y}#&$~"])
def test_odd_names_are_names(gateway: Gateway, sessions: Sessions, local: str) -> None:
    """No name is a wildcard that lets somebody into another mailbox."""
    box = f"{local}@acme.example"
    gateway.admin("mailbox.add", tenant="acme", address=box)
    gateway.admin("mailbox.assign", mailbox=box, user=ALICE, rights="read,send-as")
    token = messages.token()
    new = Path(gateway.admin("mailbox.path", mailbox=box)) / "new"
    (new / token).write_bytes(messages.clean(token))
    alice = sessions(ALICE)
    [name] = [name for name in listed(alice) if selected(alice, name, token)]
    assert name.startswith("Shared/")
    assert alice.xatom("MYRIGHTS", f'"{name}"')[0] == "OK"
    assert alice.untagged_responses["MYRIGHTS"][-1].split()[-1] == b"lrsp"


@pytest.mark.parametrize("login", ["acme/bob", "acme/bob@acme.example", "BOB@Acme.example"])
def test_one_may_log_in_with_the_customers_name(gateway: Gateway, sessions: Sessions, login: str) -> None:
    token = messages.token()
    assert gateway.deliver(messages.clean(token), BOB).code == 250
    client = sessions(login)
    eventually(lambda: selected(client, "INBOX", token), "the mail")


def test_app_passwords_open_what_they_are_for(gateway: Gateway, sessions: Sessions) -> None:
    made = {scope: gateway.json("apppassword", "add", ALICE, "--name", scope, "--scope", scope) for scope in SCOPES}
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        sessions(ALICE, made["smtp"]["password"])
    client = sessions(ALICE, made["imap"]["password"])
    with SmtpClient(gateway.submissions, tls=True) as smtp:
        smtp.hello()
        assert smtp.auth_plain(ALICE, made["imap"]["password"]).code == 535
        assert smtp.auth_plain(ALICE, made["smtp"]["password"]).code == 235
    gateway.cli("apppassword", "revoke", ALICE, made["imap"]["id"])
    eventually(lambda: is_ended(client), "the end of a session whose app password is gone")


def test_the_quota_at_rcpt_and_that_of_imap_agree(gateway: Gateway, sessions: Sessions) -> None:
    box = "quota@acme.example"
    gateway.admin("user.add", tenant="acme", login=box, password=PASSWORD)
    gateway.admin("mailbox.add", tenant="acme", address="small@acme.example", users=[box])
    gateway.admin("mailbox.quota", mailbox=box, quota=100 * 1024)
    gateway.admin("mailbox.quota", mailbox="small@acme.example", quota=10 * 1024)
    assert gateway.deliver(messages.of_size(messages.token(), 60_000), box).code == 250
    token = messages.token()
    assert gateway.deliver(messages.clean(token), box).code == 250
    client = sessions(box)
    eventually(lambda: selected(client, "INBOX", token), "the mail")
    assert client.append("Sent", None, None, messages.of_size(messages.token(), 30_000))[0] == "OK"
    usage = usage_of(gateway, box)
    assert 90_000 < usage < 100 * 1024
    assert quota_of(client, "INBOX") == (math.ceil(usage / 1024), 100)
    assert quota_of(client, "Shared/small@acme.example") == (0, 10)
    kind, [text] = client.append("INBOX", None, None, messages.of_size(messages.token(), 30_000))
    assert (kind, text[:11]) == ("NO", b"[OVERQUOTA]")

    assert gateway.deliver(messages.of_size(messages.token(), 20_000), box).code == 250
    eventually(lambda: gateway.admin("mailbox.show", mailbox=box)["usage"] > 100 * 1024, "a full mailbox")
    with gateway.connect() as smtp:
        smtp.command("MAIL FROM:<sender@sender.example>")
        assert str(smtp.command(f"RCPT TO:<{box}>")).startswith("452 4.2.2")
        assert smtp.command("RCPT TO:<small@acme.example>").code == 250
    selected(client, "INBOX", token)
    assert client.store("1:*", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.expunge()[0] == "OK"
    assert gateway.deliver(messages.clean(messages.token()), box).code == 250


def test_a_tenant_may_refuse_mail_for_a_full_mailbox_for_good(gateway: Gateway, sessions: Sessions) -> None:
    """By the quota of its policy, which IMAP has, too; also for what another tenant sends."""
    rules = '[mailboxes]\nquota = "20 KiB"\nover_quota = "reject"\n'
    (gateway.policy_dir / "tenants" / "globex.toml").write_text(rules)
    gateway.cli("reload")
    token = messages.token()
    assert gateway.deliver(messages.clean(token, 600 * "forty octets on each line of the text.\r\n"), CAROL).code == 250
    client = sessions(CAROL)
    eventually(lambda: selected(client, "INBOX", token), "the mail")
    assert quota_of(client, "INBOX") == (math.ceil(usage_of(gateway, CAROL) / 1024), 20)
    assert client.append("Sent", None, None, messages.clean(token))[1][0][:11] == b"[OVERQUOTA]"
    with gateway.connect() as outside, gateway.submit(BOB) as colleague:
        outside.command("MAIL FROM:<sender@sender.example>")
        colleague.command(f"MAIL FROM:<{BOB}>")
        for smtp in (outside, colleague):
            assert str(smtp.command(f"RCPT TO:<{CAROL}>")).startswith("552 5.2.2")
        assert client.store("1:*", "+FLAGS", r"(\Deleted)")[0] == "OK"
        assert client.expunge()[0] == "OK"
        for smtp in (outside, colleague):
            assert smtp.command(f"RCPT TO:<{CAROL}>").code == 250


def usage_of(gateway: Gateway, mailbox: str) -> int:
    return int(gateway.admin("mailbox.show", mailbox=mailbox)["usage"])


def quota_of(client: imaplib.IMAP4, mailbox: str) -> tuple[int, int]:
    """KiB in use and KiB allowed, of the one quota that counts for the mailbox."""
    _, [_, [root]] = client.getquotaroot(f'"{mailbox}"')
    used, allowed = root.rpartition(b"(STORAGE ")[2].rstrip(b")").split()
    return int(used), int(allowed)


def guess(gateway: Gateway, login: str, source: str) -> None:
    """Sixteen wrong passwords by SMTP."""
    for first in range(0, 16, 4):
        with SmtpClient(gateway.submissions, tls=True, source=source) as client:
            client.hello()
            assert {client.auth_plain(login, f"wrong {number}").code for number in range(first, first + 4)} == {535}


def test_guessing_by_smtp_counts_for_imap_from_there_and_nowhere_else(gateway: Gateway, sessions: Sessions) -> None:
    owner, stranger = "guessed@acme.example", "shut@acme.example"
    for login in (owner, stranger):
        gateway.admin("user.add", tenant="acme", login=login, password=PASSWORD)
    guess(gateway, owner, "127.0.0.2")
    assert sessions(owner).noop()[0] == "OK"  # nobody keeps an owner out from elsewhere
    assert sessions(BOB).noop()[0] == "OK"
    guess(gateway, stranger, "127.0.0.1")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        sessions(stranger)
    for login in (BOB, owner):  # who has logged in from there before is not held back by what others guess
        assert sessions(login).noop()[0] == "OK"
