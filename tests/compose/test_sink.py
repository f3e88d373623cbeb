"""The sink keeps what it gets byte for byte, and shows it."""

from __future__ import annotations

import asyncio
import importlib.util
import mailbox
from pathlib import Path
from types import ModuleType

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.components import REPOSITORY

CONTENT = b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nbare \x80 bytes\r\nFrom here\r\n"


@pytest.fixture
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with a mailbox of its own."""
    spec = importlib.util.spec_from_file_location("sink", REPOSITORY / "compose" / "sink" / "sink.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "KEPT", tmp_path / "mail")
    return module


def take(sink: ModuleType, sender: str, *recipients: str) -> None:
    async def scenario() -> str:
        handler = sink.Keep(mailbox.Maildir(sink.KEPT))
        envelope = Envelope()
        envelope.mail_from, envelope.rcpt_tos, envelope.content = sender, list(recipients), CONTENT
        reply: str = await handler.handle_DATA(SMTP(handler), Session(asyncio.get_running_loop()), envelope)
        return reply

    assert asyncio.run(scenario()).startswith("250 ")


def test_a_mail_is_kept_as_it_came_below_what_a_final_host_writes(
    sink: ModuleType, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    take(sink, "", "anna@elsewhere.example", "otto@elsewhere.example")
    assert sink.main(["show", "1"]) == 0
    top = (
        b"Return-Path: <>\nX-Sink-Connection: plaintext\n"
        b"Delivered-To: anna@elsewhere.example\nDelivered-To: otto@elsewhere.example\n"
    )
    assert capfdbinary.readouterr().out.replace(b"\r\n", b"\n") == top + CONTENT.replace(b"\r\n", b"\n")


def test_the_list_names_sender_recipients_and_subject(sink: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    take(sink, "bob@acme.example", "anna@elsewhere.example")
    take(sink, "", "bob@acme.example")
    assert sink.main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1\t<bob@acme.example>\tanna@elsewhere.example\tgrüße",
        "2\t<>\tbob@acme.example\tgrüße",
    ]


@pytest.mark.parametrize("number", ["2", "0", "-1", "one"])
def test_a_mail_that_is_not_there_is_not_shown(sink: ModuleType, number: str) -> None:
    take(sink, "", "bob@acme.example")
    assert sink.main(["show", number]) == 1


def test_wrong_use_is_explained(sink: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert sink.main([]) == 2
    assert "serve | check | list | show NUMBER" in capsys.readouterr().err
