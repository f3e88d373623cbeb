"""OpenPGP packets and armour (RFC 9580), as they should be and as lenient programs accept them."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable

from tests.inspect_mime.messages_of_parts import PAYLOAD, base64_lines


def new_packet(tag: int, body: bytes) -> bytes:
    return bytes((0xC0 | tag, 255)) + len(body).to_bytes(4, "big") + body


def old_packet(tag: int, body: bytes) -> bytes:
    return bytes((0x80 | tag << 2 | 1,)) + len(body).to_bytes(2, "big") + body


def endless_packet(tag: int, body: bytes) -> bytes:
    return bytes((0x80 | tag << 2 | 3,)) + body


def pieces_packet(tag: int, body: bytes) -> bytes:
    """Partial bodies of 64 bytes."""
    last = len(body) % 64
    pieces = [b"\xe6" + body[at : at + 64] for at in range(0, len(body) - last, 64)]
    return bytes((0xC0 | tag,)) + b"".join(pieces) + bytes((last,)) + body[len(body) - last :]


Packet = Callable[[int, bytes], bytes]


def literal(content: bytes = PAYLOAD, packet: Packet = new_packet) -> bytes:
    return packet(11, b"b\x05a.bin" + bytes(4) + content)


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def compressed(algorithm: int, data: bytes, packet: Packet = new_packet) -> bytes:
    compress = (bytes, raw_deflate, zlib.compress, bz2.compress)[algorithm]
    return packet(8, bytes((algorithm,)) + compress(data))


def signed(content: bytes) -> bytes:
    return old_packet(4, bytes(13)) + content + old_packet(2, bytes(70))


def armour(data: bytes, head: bytes = b"Version: x\r\n\r\n", end: bytes = b"\r\n=AbC9\r\n") -> bytes:
    body = base64_lines(data, 48)
    return b"-----BEGIN PGP MESSAGE-----\r\n" + head + body + end + b"-----END PGP MESSAGE-----\r\n"
