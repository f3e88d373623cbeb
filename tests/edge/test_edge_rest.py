"""Staging, limits, SASL, replies."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mailgate.edge import replies, sasl
from mailgate.edge.limits import neighbourhood_of, network_of
from mailgate.edge.staging import INLINE_LIMIT, Budget, Staging
from mailgate.model.errors import Refusal
from mailgate.model.reply import Reply


def test_a_small_message_stays_in_memory(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "m", 1 << 20, Budget(1 << 20))
    staging.write(b"a" * 10)
    staging.write(b"b")
    assert (staging.inline, staging.head(1 << 20), staging.path) == (b"a" * 10 + b"b", b"a" * 10 + b"b", "")
    assert not list(tmp_path.iterdir())


def test_a_large_message_is_in_a_file_until_closed(tmp_path: Path) -> None:
    budget = Budget(1 << 20)
    staging = Staging(tmp_path / "m", 1 << 20, budget)
    for _ in range(3):
        staging.write(b"x" * INLINE_LIMIT)
    assert staging.inline is None
    assert Path(staging.path).read_bytes() == b"x" * 3 * INLINE_LIMIT
    assert budget.used == 3 * INLINE_LIMIT
    staging.close()
    assert budget.used == 0
    assert not list(tmp_path.iterdir())


def test_the_head_reaches_to_the_end_of_a_long_header(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "m", 1 << 20, Budget(1 << 20))
    long = b"X: " + b"y" * 2 * INLINE_LIMIT + b"\r\n\r\n"
    for start in range(0, len(long), 1000):
        staging.write(long[start : start + 1000])
    staging.write(b"body" * INLINE_LIMIT)
    assert b"\r\n\r\n" in staging.head(1 << 20)
    staging.close()


def test_no_more_of_the_head_is_read_than_the_limit_asks_for(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "m", 8 << 20, Budget(8 << 20))
    for _ in range(100):
        staging.write(b"a:\r\n" * 15_000)
    assert len(staging.head(256 << 10)) == (256 << 10) + 4
    staging.write(b"\r\n\r\n")
    assert len(staging.head(1000)) == 1004
    staging.close()
    small = Staging(tmp_path / "n", 8 << 20, Budget(8 << 20))
    small.write(b"a:\r\n" * 1000)
    assert len(small.head(100)) == 104


def test_too_large_and_no_room_are_remembered(tmp_path: Path) -> None:
    budget = Budget(100)
    large = Staging(tmp_path / "a", 50, budget)
    large.write(b"x" * 51)
    large.write(b"x")
    full = Staging(tmp_path / "b", 500, budget)
    full.write(b"x" * 101)
    assert (large.is_too_large, full.is_full, large.size, budget.used) == (True, True, 52, 0)


def test_a_staging_file_that_can_not_be_written_is_no_room(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "missing" / "m", 1 << 20, Budget(1 << 20))
    staging.write(b"x" * (INLINE_LIMIT + 1))
    assert staging.is_full


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_counts_as_one_client(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
    ],
)
def test_what_shares_as_one_network(address: str, network: str) -> None:
    assert neighbourhood_of(address) == network


def encoded(text: bytes) -> bytes:
    return base64.b64encode(text)


def test_plain() -> None:
    assert sasl.plain(b"\0bob\0pw") == sasl.Credentials("bob", b"pw")
    assert sasl.plain(b"bob\0bob\0pw").login == "bob"
    assert sasl.plain(b"eve\0bob\0pw").login == ""


@pytest.mark.parametrize("message", [b"", b"bob", b"\0bob", b"\0\0pw", b"\0bob\0", b"\0a\0b\0c", b"\0\xff\0pw"])
def test_bad_plain(message: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        sasl.plain(message)
    assert refused.value.reply == replies.AUTH_BAD_ENCODING


@pytest.mark.parametrize(
    ("response", "reply"),
    [(b"*", replies.AUTH_CANCELLED), (b"!!!!", replies.AUTH_BAD_ENCODING), (b"\xff", replies.AUTH_BAD_ENCODING)],
)
def test_responses_that_end_the_exchange(response: bytes, reply: Reply) -> None:
    with pytest.raises(Refusal) as refused:
        sasl.decode(response)
    assert refused.value.reply == reply


def test_a_password_is_not_printed() -> None:
    assert "secret" not in repr(sasl.Credentials("bob", b"secret"))


def test_every_reply_is_well_formed() -> None:
    catalogue = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}
    assert len(catalogue) > 50
    for name, reply in catalogue.items():
        text = bytes(reply)
        assert text.isascii(), name
        assert text.endswith(b"\r\n"), name
        assert len(text) <= 512, name
        if reply.enhanced:
            assert int(reply.enhanced[0]) == reply.code // 100, name


def test_a_refusal_by_policy_holds_no_line_end() -> None:
    assert bytes(replies.refused("a\r\n250 ok \x1b é" + "x" * 1000)).count(b"\r\n") == 1


def test_replies_of_several_lines() -> None:
    assert bytes(Reply(250, "2.0.0", "a\nb")) == b"250-2.0.0 a\r\n250 2.0.0 b\r\n"
