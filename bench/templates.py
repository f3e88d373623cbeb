"""Message templates for smtpload: each byte 0x01 becomes a random base64 character in every message."""

from __future__ import annotations

import base64
import random
from pathlib import Path

MARK = b"\x01"
LINE = 76
_MARKED_EVERY = 8192  # bytes of the encoded attachment: no two messages share a hash of any part


def build(size: int) -> bytes:
    """A message of about `size` bytes: a short text and one base64 attachment that fills the rest."""
    unique = MARK * 24
    head = (
        b"From: Load <load@sender.example>\r\nTo: Bob <bob@acme.example>\r\nSubject: load " + unique + b"\r\n"
        b"Message-ID: <" + unique + b"@sender.example>\r\n"
        b"Date: Mon, 23 Nov 2026 03:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="=_load"\r\n\r\n'
        b"--=_load\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + b"The quick brown fox jumps.\r\n" * 12 + unique
    )
    part = (
        b"\r\n--=_load\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="data.bin"\r\n\r\n'
    )
    end = b"--=_load--\r\n"
    room = max(size - len(head) - len(part) - len(end), LINE + 2)
    lines = room // (LINE + 2)
    encoded = bytearray(base64.encodebytes(random.Random(11).randbytes(lines * LINE // 4 * 3)).replace(b"\n", b"\r\n"))
    step = max(_MARKED_EVERY // (LINE + 2), 1) * (LINE + 2)
    # not from its first line: random bytes there would now and then look like a program
    for at in range(LINE + 2, len(encoded) - LINE, step):
        encoded[at : at + 32] = MARK * 32
    return head + part + bytes(encoded) + end


def write(folder: Path, sizes: dict[str, int]) -> dict[str, Path]:
    paths = {}
    for name, size in sizes.items():
        paths[name] = folder / f"{name.replace(' ', '')}.eml"
        paths[name].write_bytes(build(size))
    return paths
