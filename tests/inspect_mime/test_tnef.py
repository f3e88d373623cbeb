"""What is in Outlook's winmail.dat: bodies, attached messages, attachments by every name."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import tnef
from mailgate.inspect.members import Budget, LimitExceededError
from mailgate.inspect.mime import ParseLimits, views
from tests.inspect_mime.messages_of_parts import PAYLOAD, base64_lines, message, part

# MS-OXRTFCP 4.1 and 4.2
HELLO = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
CROSSING = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")

EXPANDING = b"\xff" + b"\x01\x0e" * 8  # 16 bytes for every two, and never a reference to itself


def attribute(level: int, tag: int, value: bytes) -> bytes:
    head = bytes((level,)) + tag.to_bytes(2, "little") + bytes(2)
    return head + len(value).to_bytes(4, "little") + value + bytes(2)


def properties(*items: tuple[int, int, bytes]) -> bytes:
    """(type, id, value) of variable length."""
    made = len(items).to_bytes(4, "little")
    for kind, tag, value in items:
        padded = value + bytes(-len(value) % 4)
        made += kind.to_bytes(2, "little") + tag.to_bytes(2, "little") + (1).to_bytes(4, "little")
        made += len(value).to_bytes(4, "little") + padded
    return made


def stream(*attributes: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\1\0" + b"".join(attributes)


def compressed(rich: bytes) -> bytes:
    """All letters, no references, then the end."""
    body = b"".join(b"\0" + rich[at : at + 8] for at in range(0, len(rich) - 7, 8))
    rest = rich[len(rich) // 8 * 8 :]
    end = (207 + len(rich)) % 4096 << 4
    body += bytes((1 << len(rest),)) + rest + end.to_bytes(2, "big")
    return (len(body) + 12).to_bytes(4, "little") + len(rich).to_bytes(4, "little") + b"LZFu" + bytes(4) + body


def files(data: bytes) -> list[tuple[str, bytes]]:
    return list(tnef.tnef_files(data, Budget()))


def found(data: bytes) -> dict[bytes, tuple[str, ...]]:
    made = views(message(part(b"application/ms-tnef", b"base64", base64_lines(data))), ParseLimits())
    assert not made.exceeded
    return {each.data: each.names for each in made.parts}


def test_the_examples_of_the_specification() -> None:
    assert tnef.decompressed_rtf(HELLO, Budget()) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert tnef.decompressed_rtf(CROSSING, Budget()) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert tnef.decompressed_rtf(HELLO[:8] + b"MELA" + bytes(4) + b"{\\rtf1}", Budget()) == b"{\\rtf1}"
    assert tnef.decompressed_rtf(b"no RTF at all, but long enough", Budget()) == b""


@given(st.binary(max_size=9000))
def test_what_was_compressed_comes_back(rich: bytes) -> None:
    assert tnef.decompressed_rtf(compressed(rich), Budget()) == rich


@given(st.binary(max_size=300))
def test_broken_compressed_rtf_ends(rest: bytes) -> None:
    tnef.decompressed_rtf(HELLO[:16] + rest, Budget())
    tnef.decompressed_rtf(HELLO[: len(rest) % len(HELLO)], Budget())


def test_compressed_rtf_takes_no_more_than_the_budget() -> None:
    with pytest.raises(LimitExceededError):
        tnef.decompressed_rtf(HELLO[:16] + EXPANDING * 10_000, Budget(data=100_000))


@pytest.mark.parametrize("unit", [b"\xff", b"\0", b"\x55", EXPANDING])
def test_time_is_in_proportion(unit: bytes) -> None:
    def cost(size: int) -> float:
        data = HELLO[:16] + unit * (size // len(unit))
        began = time.process_time()
        tnef.rtf_text(tnef.decompressed_rtf(data, Budget()))
        return time.process_time() - began

    small = min(cost(1 << 15) for _ in range(3))
    assert cost(1 << 18) < 40 * small + 0.1


def test_bodies_are_parts() -> None:
    rich = b"{\\rtf1 " + PAYLOAD.replace(b"\\", b"\\\\").replace(b"{", b"\\{").replace(b"}", b"\\}") + b"}"
    made = stream(
        attribute(1, 0x800C, b"the plain body\0"),
        attribute(
            1, 0x9003, properties((0x102, 0x1009, compressed(rich)), (0x102, 0x1013, b"<html>" + PAYLOAD + b"</html>"))
        ),
    )
    contents = set(found(made))
    assert {b"the plain body", rich, b"<html>" + PAYLOAD + b"</html>"} <= contents


def test_the_text_of_an_rtf_body_is_read_as_a_person_reads_it() -> None:
    rich = rb"{\rtf1\ansi\fromhtml1{\*\htmltag64 <b>}X5O!P%@AP[4\\PZX54(P^)7CC)7\}$\'45ICAR{\*\htmltag72 </b>}\par }"
    assert tnef.rtf_text(rich).strip() == rb"<b>X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR</b>"


def test_an_attachment_has_all_its_names() -> None:
    made = stream(
        attribute(2, 0x9002, bytes(14)),
        attribute(2, 0x8010, b"SETUP~1.TXT\0"),
        attribute(2, 0x800F, PAYLOAD),
        attribute(
            2,
            0x9005,
            properties(
                (0x1F, 0x3707, "setup.exe\0".encode("utf-16-le")), (0x1E, 0x3001, "Übersicht\0".encode("cp1252"))
            ),
        ),
    )
    assert set(found(made)[PAYLOAD]) >= {"SETUP~1.TXT", "setup.exe", "Übersicht"}


def test_an_attached_message_is_opened() -> None:
    inner = stream(attribute(2, 0x9002, bytes(14)), attribute(2, 0x8010, b"a.exe\0"), attribute(2, 0x800F, PAYLOAD))
    outer = stream(attribute(2, 0x9002, bytes(14)), attribute(2, 0x9005, properties((0x0D, 0x3701, bytes(16) + inner))))
    assert PAYLOAD in found(outer)


def test_too_many_attachments_are_a_limit() -> None:
    with pytest.raises(LimitExceededError):
        files(stream(attribute(2, 0x9002, bytes(14)) * 2000))


@given(st.binary(max_size=200), st.sampled_from([0x9003, 0x9005, 0x8010, 0x800C]))
def test_broken_attributes_never_raise(value: bytes, tag: int) -> None:
    for name, _ in files(stream(attribute(1, tag, value), value)):
        name.encode("utf-8")
