"""Builders of test messages: bytes with CRLF line ends, each with a token that finds its copies again."""

from __future__ import annotations

import base64
import io
import itertools
import random
import uuid
import zipfile

# Put together at run time, so that no scanner takes this source file for the test virus.
EICAR = b"".join((rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$", b"EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!", b"$H+H*"))

_boundaries = itertools.count(1)


def token() -> str:
    return "tk" + uuid.uuid4().hex[:20]


def head(name: str, subject: str = "test", **fields: str) -> bytes:
    """The fields every honest message has; `name` is the token, found in the Message-ID."""
    lines = [
        "From: Sender <sender@sender.example>",
        "To: bob@acme.example",
        f"Subject: {subject} {name}",
        f"Message-ID: <{name}@sender.example>",
        "Date: Mon, 23 Nov 2026 03:00:00 +0000",
        "MIME-Version: 1.0",
        *(f"{field.replace('_', '-')}: {value}" for field, value in fields.items()),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def clean(name: str, text: str = "Good morning.\r\n") -> bytes:
    return head(name, Content_Type="text/plain; charset=utf-8") + b"\r\n" + text.encode()


def written_by(author: str, message: bytes) -> bytes:
    """The same from another author: users hand in only what is their own."""
    return message.replace(b"Sender <sender@sender.example>", author.encode(), 1)


def with_attachment(name: str, content: bytes, filename: str = "report.pdf", kind: str = "application/pdf") -> bytes:
    """A text part and one base64 attachment."""
    boundary = f"=_part_{next(_boundaries)}_{name}"
    parts = (
        f"--{boundary}\r\nContent-Type: text/plain\r\n\r\nSee the attachment.\r\n"
        f'--{boundary}\r\nContent-Type: {kind}; name="{filename}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{filename}"\r\n\r\n'
    ).encode()
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    fields = head(name, Content_Type=f'multipart/mixed; boundary="{boundary}"')
    return fields + b"\r\n" + parts + encoded + f"--{boundary}--\r\n".encode()


def pdf(size: int = 3000, seed: int = 1) -> bytes:
    """Bytes that look like a PDF of about `size` bytes."""
    return b"%PDF-1.4\n" + random.Random(seed).randbytes(size) + b"\n%%EOF\n"


def of_size(name: str, size: int, seed: int = 1) -> bytes:
    """A message of at least `size` bytes with one incompressible attachment."""
    return with_attachment(name, pdf(max(size * 37 // 51, 1), seed))


def infected(name: str) -> bytes:
    return with_attachment(name, EICAR, "eicar.com", "application/octet-stream")


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for filename, content in files.items():
            archive.writestr(filename, content)
    return packed.getvalue()


def infected_zip(name: str) -> bytes:
    return with_attachment(name, zipped({"invoice/eicar.com": EICAR}), "invoice.zip", "application/zip")


def executable(name: str) -> bytes:
    """An attachment that is a Windows program by its first bytes and its name."""
    return with_attachment(name, b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(400), "setup.exe", "application/pdf")
