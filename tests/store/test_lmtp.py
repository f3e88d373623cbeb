"""Handing mail to an LMTP server: what is said, and what happens where it does not take it."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.store.delivery.lmtp import LmtpMailboxes, without_return_path
from mailgate.store.delivery.maildir import Letter

BODY = b"Subject: t\r\n\r\n.dot\r\n"


@pytest.mark.parametrize(
    ("stored", "reverse_path", "left"),
    [
        (b"Return-Path: <a@b.example>\r\n" + BODY, "a@b.example", BODY),
        (b"Return-Path: <>\r\n" + BODY, "", BODY),
        ("Return-Path: <j\u00f6rg@b.example>\r\n".encode() + BODY, "j\u00f6rg@b.example", BODY),
        (BODY, "", BODY),
        (b"Return-Path: <a@b.example", "", b"Return-Path: <a@b.example"),
        (b"", "", b""),
    ],
)
def test_the_return_path_is_the_servers_to_write(stored: bytes, reverse_path: str, left: bytes) -> None:
    assert without_return_path(stored) == (reverse_path, left)


@contextlib.contextmanager
def server(path: Path, replies: dict[str, str]) -> Iterator[list[str]]:
    """Answers each command by its first word, 250 where `replies` says nothing; yields what it was told."""
    heard: list[str] = []

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            while line := self.rfile.readline().decode().strip():
                heard.append(line)
                word = line.split()[0].lower()
                if word == "lhlo":
                    self._say("250-here\r\n250 8BITMIME")
                elif word == "data":
                    self._say("354 go on")
                    while (line := self.rfile.readline().decode()) != ".\r\n":
                        heard.append(line.strip())
                    self._say(replies.get(".", "250 kept"))
                else:
                    self._say(replies.get(word, "250 fine"))

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingUnixStreamServer(str(path), Conversation) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield heard
        listening.shutdown()


def letter(tmp_path: Path, box: str, content: bytes = b"Return-Path: <a@b.example>\r\n" + BODY) -> Letter:
    for place in ("new", "cur", "tmp"):
        (tmp_path / box / place).mkdir(parents=True)
    return Letter(str(tmp_path / box), "1,S=9", content, is_again=False)


def test_a_message_goes_to_the_address_of_the_mailbox(tmp_path: Path) -> None:
    with server(tmp_path / "lmtp", {}) as heard:
        boxes = LmtpMailboxes(tmp_path / "lmtp", lambda mailbox: f"{mailbox}@acme.example")
        assert boxes.deliver([letter(tmp_path, "bob"), letter(tmp_path, "alice")]) == [None, None]
    # smtplib writes commands in small letters since Python 3.13
    assert [line.replace("FROM:", "from:").replace("TO:", "to:") for line in heard] == [
        "lhlo localhost",
        *("mail from:<a@b.example> BODY=8BITMIME", "rcpt to:<bob@acme.example>", "data", "Subject: t", "", "..dot"),
        *("mail from:<a@b.example> BODY=8BITMIME", "rcpt to:<alice@acme.example>", "data", "Subject: t", "", "..dot"),
        "quit",
    ]


@pytest.mark.parametrize("word", ["mail", "rcpt", "."])
def test_what_it_refuses_is_told_and_the_next_goes_on(tmp_path: Path, word: str) -> None:
    with server(tmp_path / "lmtp", {word: "452 4.2.2 quota"}):
        boxes = LmtpMailboxes(tmp_path / "lmtp", lambda mailbox: f"{mailbox}@acme.example")
        results = boxes.deliver([letter(tmp_path, "bob"), letter(tmp_path, "alice")])
    assert ["452 4.2.2 quota" in str(result) for result in results] == [True, True]


def test_where_nobody_listens_nothing_is_delivered(tmp_path: Path) -> None:
    [result] = LmtpMailboxes(tmp_path / "lmtp", lambda mailbox: "bob@acme.example").deliver([letter(tmp_path, "bob")])
    assert "LMTP server" in str(result)
    assert not list((tmp_path / "bob" / "new").iterdir())


def test_a_mailbox_that_was_switched_off_meanwhile_gets_its_mail_directly(tmp_path: Path) -> None:
    boxes = LmtpMailboxes(tmp_path / "lmtp", lambda mailbox: "")
    assert boxes.deliver([letter(tmp_path, "bob")]) == [None]
    assert [path.name for path in (tmp_path / "bob" / "new").iterdir()] == ["1,S=9"]
