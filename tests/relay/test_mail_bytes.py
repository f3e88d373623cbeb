"""What may go out, and how it is stuffed: over every border of chunks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName
from mailgate.relay import mail as mail_module
from mailgate.relay import obstacles
from mailgate.relay.mail import Mail
from mailgate.relay.smtp_session import DotStuffer

ALL = {"smtputf8", "8bitmime", "requiretls"}


def mail_of(content: bytes, to: str = "a@hop.example", sender: str = "bob@acme.example", **more: object) -> Mail:
    recipient = Recipient(to)
    envelope = Envelope(
        QueueId("q" * 16), TenantName("acme"), Direction.OUTBOUND, sender, (recipient,), Client("127.0.0.1"),
        time.time(), **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return Mail(envelope, (recipient,), len(content), content)


@pytest.mark.parametrize(
    ("content", "broken"),
    [
        (b"a\r\nb\r\n", False),
        (b"", False),
        (b"no end", False),
        (b"a\nb\r\n", True),
        (b"a\rb\r\n", True),
        (b"a\r\r\n", True),
        (b"a\r\n\n", True),
        (b"a\0b\r\n", True),
        (b"end\r", True),
        (b"\r\n.\r\n", False),
        (b"\n\r", True),
    ],
)
def test_bare_line_ends_and_nul(content: bytes, broken: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert mail_of(content).traits.is_broken is broken
    path = tmp_path / "content"
    path.write_bytes(content)
    for chunk in (1, 2, 3):
        monkeypatch.setattr(mail_module, "CHUNK", chunk)
        inline = mail_of(content)
        stored = Mail(inline.envelope, inline.recipients, len(content), None, str(path))
        assert stored.traits.is_broken is broken, chunk
        assert stored.traits.ends_line is content.endswith(b"\r\n")


@given(st.lists(st.sampled_from([b"\r\n", b".", b"a", b"..", b"\r\n."]), max_size=12), st.integers(1, 5))
def test_dot_stuffing_over_all_borders(pieces: list[bytes], size: int) -> None:
    content = b"".join(pieces)
    stuffer = DotStuffer()
    sent = b"".join(stuffer.feed(content[at : at + size]) for at in range(0, len(content), size)) + stuffer.end()
    whole = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    expected = b"".join(b"." + line if line.startswith(b".") else line for line in whole.splitlines(keepends=True))
    assert sent == expected + b".\r\n"


@pytest.mark.parametrize(
    ("content", "more", "offers", "enhanced"),
    [
        (b"Subject: x\r\n\r\nascii\r\n", {}, set(), None),
        (b"Subject: x\r\n\r\ngr\xc3\xbcn\r\n", {"body": "8BITMIME"}, {"8bitmime"}, None),
        (b"Subject: x\r\n\r\nascii\r\n", {"body": "8BITMIME"}, set(), None),
        (b"Subject: gr\xc3\xbcn\r\n\r\nx\r\n", {"smtputf8": True}, {"8bitmime"}, "5.6.7"),
        (b"Subject: x\r\n\r\nascii\r\n", {"smtputf8": True}, {"8bitmime"}, None),
        (b"Subject: x\r\n\r\n--b\r\nContent-Type: x; name=\xc3\xbc\r\n", {"smtputf8": True}, {"8bitmime"}, "5.6.7"),
        (b"Subject: x\r\n\r\nascii\r\n", {"smtputf8": True, "to": "gr\u00fcn@hop.example"}, {"8bitmime"}, "5.6.7"),
        (b"Subject: x\r\n\r\nascii\r\n", {"smtputf8": True, "to": "gr\u00fcn@hop.example"}, ALL, None),
        (b"Subject: x\r\n\r\nascii\r\n", {"requiretls": True}, {"8bitmime"}, "5.7.30"),
        (b"Subject: x\r\n\r\nascii\r\n", {"requiretls": True}, ALL, None),
    ],
)
def test_what_a_host_can_not_take(
    content: bytes, more: dict[str, object], offers: set[str], enhanced: str | None
) -> None:
    found = obstacles.of_host(mail_of(content, **more), "mx.example", offers.__contains__, 0)  # type: ignore[arg-type]
    assert (found.enhanced if found else None) == enhanced


def test_too_large_for_a_host() -> None:
    found = obstacles.of_host(mail_of(b"x" * 101), "mx.example", ALL.__contains__, 100)
    assert found is not None and found.enhanced == "5.3.4"
    assert obstacles.of_host(mail_of(b"x" * 100), "mx.example", ALL.__contains__, 100) is None


@pytest.mark.parametrize(
    ("path", "is_sent"),
    [
        ("a@hop.example", True),
        ('"a b"@hop.example', True),
        ('"a>b"@hop.example', True),
        ('"a\\"b"@hop.example', True),
        ("gr\u00fcn@hop.example", True),
        ("a b@hop.example", False),
        ("a>b@hop.example", False),
        ("a\r\nRCPT TO:<x@y>@hop.example", False),
        ('"a\r\n"@hop.example', False),
        ("a\0@hop.example", False),
        ("a@hop.example> SIZE=1", False),
    ],
)
def test_paths_that_would_not_stay_paths(path: str, is_sent: bool) -> None:
    assert (obstacles.of_message(mail_of(b"x\r\n", to=path)) is None) is is_sent
    assert (obstacles.of_message(mail_of(b"x\r\n", sender=path)) is None) is is_sent


@pytest.mark.parametrize(
    ("content", "more", "waives"),
    [
        (b"TLS-Required: No\r\n\r\n", {}, True),
        (b"a: b\r\ntls-required:no\r\n\r\n", {}, True),
        (b"TLS-Required: Now\r\n\r\n", {}, False),
        (b"a: b\r\n\r\nTLS-Required: No\r\n", {}, False),
        (b"TLS-Required: No\r\n\r\n", {"requiretls": True}, False),
    ],
)
def test_tls_required_no(content: bytes, more: dict[str, object], waives: bool) -> None:
    assert mail_of(content, **more).waives_tls is waives  # type: ignore[arg-type]
