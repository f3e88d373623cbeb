"""Bytes on the wire that servers have been tricked with, and limits at their exact places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.dialogue import Client, Stage, play

BODY = b"From: a@b.example\r\nSubject: s\r\n\r\nhello\r\n"


@pytest.mark.parametrize("end", [b"\0\r\n.\r\n", b"\n.\r\n\r\n.\r\n", b"\r.\r\r\n.\r\n"])
def test_nothing_behind_a_message_with_bad_bytes_is_served(tmp_path: Path, end: bytes) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        text = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@acme.example>\r\nDATA\r\n" + BODY
        await client.send(text + end + text + b".\r\n")
        codes = [(await client.reply())[:3] for _ in range(5)]
        assert codes == ["250", "250", "354", "554", "clo"]
        assert not on.store.kept

    play(part, tmp_path)


def test_a_chunk_over_the_limit_is_read_and_refused(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.send(b"BDAT 300000 LAST\r\n" + b"x" * 300_000)
        assert (await client.reply()).startswith("552 5.3.4")
        await client.ask("RCPT TO:<bob@acme.example>", 503)
        await client.ask("BDAT 99999999999", 552)
        assert await client.reply() == "closed"
        assert not on.store.kept

    play(part, tmp_path, size_limit=200_000)


def test_white_space_at_the_end_of_a_command_counts_for_nothing(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert (await client.reply()).startswith("220 ")
        for line in ("EHLO client.example", "MAIL FROM:<a@b.example>", "RCPT TO:<bob@acme.example>", "RSET", "NOOP"):
            await client.ask(line + " \t", 250)
        await client.ask("MAIL\tFROM:<a@b.example>", 500)
        await client.ask("QUIT\t", 221)

    play(part, tmp_path)
