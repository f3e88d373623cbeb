from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.dsn.compose import compose
from mailgate.dsn.lines import field
from mailgate.dsn.notice import Action, Returned
from mailgate.dsn.returned import HEADER_LIMIT, header_of
from mailgate.model.envelope import Recipient
from mailgate.model.outcome import Outcome, State
from tests.dsn.making import CONTENT, NOW, fate, notice, parsed, parts, readable, status_groups

DAY = 86_400


def test_the_header_of_a_notice() -> None:
    message = parsed(notice())
    assert message["From"] == "Mail Delivery <postmaster@mx.gateway.example>"
    assert message["To"] == "bob@acme.example"
    assert message["Subject"] == "Not delivered: your message to kim@far.example"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<1@acme.example>"
    assert message["Message-ID"] == "<zyxwvtsrqpnmkjhg.0123456789abcdef@mx.gateway.example>"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert message["Date"].datetime.timestamp() == NOW
    assert message["MIME-Version"] == "1.0"


def test_the_fields_for_programs() -> None:
    asked = Recipient("kim@far.example", orcpt="rfc822;Kim+2Bx@far.example")
    message, recipient = status_groups(notice(fate(asked), envelope_envid="order+20no+2E+207"))
    assert dict(message.items()) == {
        "Original-Envelope-Id": "order no. 7",
        "Reporting-MTA": "dns; mx.gateway.example",
        "Arrival-Date": "Fri, 15 Jan 2027 07:59:00 -0000",
    }
    assert dict(recipient.items()) == {
        "Original-Recipient": "rfc822; Kim+x@far.example",
        "Final-Recipient": "rfc822; kim@far.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.far.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
        "Last-Attempt-Date": "Fri, 15 Jan 2027 08:00:00 -0000",
        "Final-Log-ID": "0123456789abcdef",
    }


def test_several_recipients_share_a_notice() -> None:
    made = notice(fate("kim@far.example"), fate("lee@far.example"), fate("max@far.example"))
    assert parsed(made)["Subject"] == "Not delivered: your message to kim@far.example and 2 more"
    groups = status_groups(made)
    assert [group["Final-Recipient"] for group in groups[1:]] == [
        f"rfc822; {name}@far.example" for name in ("kim", "lee", "max")
    ]
    assert all(name in readable(made) for name in ("kim@far.example", "lee@far.example", "max@far.example"))


def test_what_people_read() -> None:
    text = readable(notice())
    assert "could not be delivered" in text
    assert "kim@far.example What happened: The address does not exist at the other mail server." in text
    assert "What the server mx.far.example said: 550 5.1.1 No such user" in text
    assert "What you can do: Check how the address is written" in text
    assert "has the queue id 0123456789abcdef" in text
    assert "The header of your message is attached." in text


def test_what_people_read_in_german() -> None:
    made = notice(language="de")
    text = readable(made)
    assert "Ihre Nachricht konnte den folgenden Empfängern nicht zugestellt werden." in text
    assert "Antwort des Servers mx.far.example: 550 5.1.1 No such user" in text
    assert "Prüfen Sie die Schreibweise" in text
    assert "ging am 15.01.2027 um 07:59 Uhr (UTC) ein" in text
    message = parsed(made)
    assert message["Content-Language"] == "de"
    assert parsed(notice(fate(action=Action.DELAYED), language="de"))["Subject"].startswith("Verzögert: ")


def test_a_delay_says_until_when_it_is_tried() -> None:
    made = notice(
        fate(action=Action.DELAYED, retry_until=NOW + 4 * DAY, outcome=Outcome(State.QUEUED, "busy", 450, "4.2.1"))
    )
    recipient = status_groups(made)[1]
    assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.2.1")
    assert recipient["Will-Retry-Until"] == "Tue, 19 Jan 2027 08:00:00 -0000"
    text = readable(made)
    assert "it is tried again until 2027-01-19, 08:00 UTC" in text
    assert "What you can do" not in text


def test_only_a_delay_names_the_end_of_trying() -> None:
    assert "Will-Retry-Until" not in status_groups(notice(fate(retry_until=NOW + DAY)))[1]


def test_expiry_keeps_what_the_server_said_last() -> None:
    made = notice(
        fate(
            is_expired=True,
            outcome=Outcome(State.EXPIRED, "given up", 452, "4.2.2", "452 4.2.2 Over quota", "mx.far.example"),
        )
    )
    recipient = status_groups(made)[1]
    assert (recipient["Action"], recipient["Status"]) == ("failed", "4.4.7")
    assert recipient["Diagnostic-Code"] == "smtp; 452 4.2.2 Over quota"
    assert "for as long as it was tried" in readable(made)


@pytest.mark.parametrize(("action", "word"), [(Action.DELIVERED, "delivered to"), (Action.RELAYED, "passed on to")])
def test_success(action: Action, word: str) -> None:
    made = notice(
        fate(action=action, outcome=Outcome(State.RELAYED, "taken", 250, "2.0.0", "250 2.0.0 Thanks", "mx.far.example"))
    )
    recipient = status_groups(made)[1]
    assert (recipient["Action"], recipient["Status"]) == (action, "2.0.0")
    text = readable(made)
    assert word in text
    assert "Taken by mx.far.example" in text
    assert "What happened" not in text


@pytest.mark.parametrize(
    ("code", "enhanced", "status"),
    [(550, "", "5.0.0"), (550, "4.1.1", "5.1.1"), (550, "nonsense", "5.0.0"), (0, "5.7.10", "5.7.10")],
)
def test_the_status_agrees_with_the_action(code: int, enhanced: str, status: str) -> None:
    made = notice(fate(outcome=Outcome(State.BOUNCED, "text", code, enhanced)))
    assert status_groups(made)[1]["Status"] == status


def test_what_no_server_said_is_marked_as_ours() -> None:
    made = notice(fate(outcome=Outcome(State.BOUNCED, "the domain takes no mail (null MX)", 0, "5.1.10")))
    recipient = status_groups(made)[1]
    assert recipient["Diagnostic-Code"] == "X-Mailgate; the domain takes no mail (null MX)"
    assert "Remote-MTA" not in recipient
    assert "In detail: the domain takes no mail (null MX)" in readable(made)


def test_the_header_comes_back() -> None:
    part = parts(parsed(notice()))[2]
    assert part.get_content_type() == "text/rfc822-headers"
    assert "Subject: secret" in str(part.get_payload())
    assert "The body" not in str(part.get_payload())


def test_the_whole_message_comes_back_byte_for_byte() -> None:
    content = CONTENT + b"\xe9 8-bit \r\n.\r\n--the-boundary-not\r\n"
    composed = compose(notice(returned=Returned(content, is_whole=True)))
    assert content in composed.content
    assert b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit" in composed.content
    assert composed.is_8bit
    assert "Your message is attached." in readable(notice(returned=Returned(CONTENT, is_whole=True)))


def test_raw_bytes_in_a_header_come_back_encoded() -> None:
    composed = compose(notice(returned=Returned(b"Subject: \xff\xfe caf\xe9\r\nTo: x\r\n\r\nbody\r\n")))
    assert b"Subject: =FF=FE caf=E9\r\nTo: x\r\n" in composed.content
    assert composed.content.isascii()
    assert not composed.is_8bit


def test_internationalised_mail() -> None:
    made = notice(
        fate(Recipient("kîm@far.example", orcpt=r"utf-8;k\x{EE}m@far.example")),
        returned=Returned("Subject: Grüße\r\n\r\n".encode()),
        envelope_smtputf8=True,
    )
    message = parsed(made)
    assert message["Content-Type"].params["report-type"] == "global-delivery-status"
    assert [part.get_content_type() for part in parts(message)] == [
        "text/plain",
        "message/global-delivery-status",
        "message/global-headers",
    ]
    recipient = status_groups(made)[1]
    assert recipient["Original-Recipient"] == recipient["Final-Recipient"] == "utf-8; kîm@far.example"
    assert message["Subject"] == "Not delivered: your message to kîm@far.example"
    composed = compose(made)
    assert not composed.smtputf8, "the sender's address is ASCII: any server can take the notice"
    assert composed.content.isascii()


def test_a_sender_beyond_ascii_needs_smtputf8() -> None:
    composed = compose(notice(envelope_reverse_path="bôb@acme.example", envelope_smtputf8=True))
    assert composed.smtputf8
    assert "To: <bôb@acme.example>\r\n".encode() in composed.content


@pytest.mark.parametrize("message_id", ["", "plain", "<a b@c>", "<a\r\nX: y@c>", "<" + "x" * 300 + ">", "<é@c>"])
def test_only_a_sound_message_id_is_repeated(message_id: str) -> None:
    message = parsed(notice(envelope_message_id=message_id))
    assert message["In-Reply-To"] is None


HOSTILE = [
    "line\r\nAction: delivered",
    "line\n\n--the-boundary--\n",
    "\x00\x1b[31mred\x07",
    "x" * 5_000,
    "word " * 2_000,
    "\u202egnp.exe",
    "caf\udce9",
    "{hostname} %s %(x)s",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", ["en", "de"])
def test_what_strangers_say_stays_in_its_place(text: str, language: str) -> None:
    outcome = Outcome(State.BOUNCED, text, 550, "5.7.1", text, remote_mta=f"evil\r\nX-Evil: {text[:20]}")
    made = notice(fate(outcome=outcome), fate(Recipient(f"{text}@far.example")), language=language)
    message, *recipients = status_groups(made)
    assert len(recipients) == 2
    assert recipients[0]["Action"] == "failed"
    assert "Remote-MTA" not in recipients[0]
    assert {*message.keys()} == {"Reporting-MTA", "Arrival-Date"}
    assert "X-Evil" not in str(parsed(made)["Subject"])
    shown = readable(made)
    assert not any(char in shown for char in "\x00\x1b\x07\u202e")


@given(st.text(max_size=200), st.text(max_size=60), st.binary(max_size=200))
def test_every_notice_can_be_read_back(text: str, path: str, content: bytes) -> None:
    outcome = Outcome(State.BOUNCED, "refused", 550, "5.1.1", text)
    returned = Returned(content.replace(b"\r", b"").replace(b"\n", b"\r\n"))
    made = notice(fate(Recipient(path), outcome=outcome), returned=returned)
    assert status_groups(made)[1]["Action"] == "failed"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300))
def test_folding_changes_nothing(value: str) -> None:
    folded = field("Name", value)
    assert folded.replace("\r\n", "") == f"Name: {value}"
    assert all(line.strip() for line in folded.split("\r\n")[1:-1])


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (b"A: b\r\n\r\nbody", b"A: b\r\n"),
        (b"A: b\r\nC: d\r\n\r\n", b"A: b\r\nC: d\r\n"),
        (b"A: b", b"A: b\r\n"),
        (b"\r\nbody\r\n\r\nmore", b""),
        (b"", b""),
    ],
)
def test_where_the_header_ends(content: bytes, header: bytes) -> None:
    assert header_of(content) == header


def test_a_huge_header_is_cut_after_a_line() -> None:
    header = header_of(b"A: b\r\n" * HEADER_LIMIT + b"\r\nbody")
    assert len(header) <= HEADER_LIMIT
    assert header.endswith(b"A: b\r\n")
