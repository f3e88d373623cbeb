"""DKIM signing of 4 KiB messages with RSA-2048: ours beside dkimpy's own, processor time, in the same run.

python bench/signing.py [--messages N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import dkim
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailgate.relay.dkim_sign import Identity, signatures
from mailgate.senderauth.body import RELAXED, body_hashes
from mailgate.senderauth.header import read
from mailgate.senderauth.signing_key import new_ed25519, new_rsa

HEADER = (
    b"Received: from client.example ([192.0.2.7])\r\n\tby mx.acme.example with ESMTPSA id 0;\r\n"
    b"\tMon, 23 Nov 2026 05:00:00 -0000\r\nFrom: Bob <bob@acme.example>\r\nTo: Eve <eve@example.net>\r\n"
    b"Subject: Figures for the third quarter\r\nDate: Mon, 23 Nov 2026 05:00:00 +0000\r\n"
    b"Message-ID: <1@acme.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)
LINE = b"All of the figures that you asked for are in the table below.\r\n"
MESSAGE = (HEADER + LINE * 64)[:4094] + b"\r\n"


def milliseconds(sign: Callable[[], object], times: int) -> float:
    """Processor time of one call."""
    sign()
    began = time.process_time()
    for _ in range(times):
        sign()
    return (time.process_time() - began) / times * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200)
    times = parser.parse_args().messages
    rsa, ed25519 = new_rsa(), new_ed25519()
    pem = rsa.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    def ours(*identities: Identity) -> bytes:
        header = read(MESSAGE)
        return signatures(header, body_hashes([RELAXED], MESSAGE[header.size :])[RELAXED], identities, 1_800_000_000)

    def theirs() -> bytes:
        line: bytes = dkim.sign(MESSAGE, b"s", b"acme.example", pem, canonicalize=(b"relaxed", b"relaxed"))
        return line

    one = Identity("acme.example", "s", rsa)
    library = milliseconds(theirs, max(10, times // 5))
    own = milliseconds(lambda: ours(one), times)
    both = milliseconds(lambda: ours(one, Identity("acme.example", "e", ed25519)), times)
    print(f"message: {len(MESSAGE)} bytes")
    print(f"dkimpy, RSA-2048:            {library:7.3f} ms")
    print(f"mailgate, RSA-2048:          {own:7.3f} ms   {library / own:.1f} x as fast")
    print(f"mailgate, RSA-2048 + Ed25519:{both:7.3f} ms")


if __name__ == "__main__":
    main()
