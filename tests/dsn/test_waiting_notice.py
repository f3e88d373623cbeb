"""What users read of their mail in quarantine."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.dsn.notice import Language
from mailgate.dsn.waiting import WaitingNotice, Withheld, compose_waiting
from mailgate.model.envelope import QueueId

NOW = 1_800_000_000.0
ADDRESS = "release+token@acme.example"
ONE = Withheld(
    queue_id=QueueId("1mcc5rm000000000"),
    reverse_path="ann@sender.example",
    forward_path="bob@acme.example",
    received_at=NOW,
    reason='the attachment "list.zip" can\'t be scanned (encrypted)',
    deleted_at=NOW + 86_400,
)
RELEASABLE = replace(ONE, release_address=ADDRESS, release_until=NOW + 3600)


def notice(*messages: Withheld, is_digest: bool = False, language: Language = "en", more: int = 0) -> WaitingNotice:
    return WaitingNotice(
        queue_id=QueueId("1mcc5rm00000000n"),
        recipient="bob@acme.example",
        messages=messages,
        is_digest=is_digest,
        hostname="mx.gateway.example",
        language=language,
        now=NOW,
        more=more,
    )


def read(given_notice: WaitingNotice) -> tuple[EmailMessage, str]:
    content = compose_waiting(given_notice).content
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message, " ".join(message.get_content().split())


@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_answers_it_and_it_says_its_language(language: Language) -> None:
    message, _ = read(notice(ONE, language=language))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == language
    assert message["To"] == "bob@acme.example"
    assert message["From"].addresses[0].addr_spec == "postmaster@mx.gateway.example"


def test_what_can_be_released_is_released_by_an_answer() -> None:
    message, text = read(notice(RELEASABLE))
    assert message["Reply-To"].addresses[0].addr_spec == ADDRESS
    assert "answer this notice from your own account" in text
    assert "ask your administrator" not in text
    assert "From: ann@sender.example" in text
    assert '"list.zip"' in text
    message, text = read(notice(ONE))
    assert message["Reply-To"] is None
    assert "ask your administrator" in text
    assert "answer this notice" not in text


def test_a_digest_lists_all_and_gives_each_its_address() -> None:
    other = replace(ONE, queue_id=QueueId("1mcc5rm000000001"), reverse_path="")
    message, text = read(notice(RELEASABLE, other, is_digest=True, more=3))
    assert message["Subject"] == "In quarantine for you: 5 new"
    assert message["Reply-To"] is None
    assert text.count(ADDRESS) == 1
    assert "(a mail server)" in text
    assert "For a message without such an address ask" in text
    assert "And 3 more." in text
    message, text = read(notice(ONE, is_digest=True, language="de"))
    assert message["Subject"] == "Für Sie in Quarantäne: 1 neu"
    assert "Von: ann@sender.example" in text


@given(st.text(), st.text(), st.sampled_from(["en", "de"]), st.booleans())
def test_no_stranger_writes_in_our_name(reverse_path: str, reason: str, language: Language, is_digest: bool) -> None:
    """Whatever stands in addresses and names: one header, one text, short lines."""
    hostile = replace(RELEASABLE, reverse_path=reverse_path, forward_path=reverse_path, reason=reason)
    message, text = read(notice(hostile, language=language, is_digest=is_digest))
    assert message.get_content_type() == "text/plain"
    assert sorted(message.keys()) == sorted(read(notice(RELEASABLE, language=language, is_digest=is_digest))[0].keys())
    assert "1mcc5rm000000000" in text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ann@sender.example", "From: ann@sender.example"),
        ("bounces+8f3a9c1d2e4b-bob=acme.example@list.example", "From: bounces+8f...@list.example"),
    ],
)
def test_of_a_sender_made_by_a_program_the_beginning_is_shown(path: str, expected: str) -> None:
    assert expected in read(notice(replace(ONE, reverse_path=path)))[1]
