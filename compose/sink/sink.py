"""The outside world of the local stack: takes every mail, keeps it as it came, and shows it.

sink.py serve | check | list | show NUMBER
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import mailbox
import smtplib
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

PORT = 2525
HOSTNAME = "sink.stack"
KEPT = Path("/sink/mail")


class Keep:
    """A handler of aiosmtpd: what a final host writes on top (RFC 5321 section 4.4), then the mail byte for byte."""

    def __init__(self, kept: mailbox.Maildir) -> None:
        self._kept = kept

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        level = session.ssl["cipher"][0] if session.ssl else "plaintext"
        top = [f"Return-Path: <{envelope.mail_from}>", f"X-Sink-Connection: {level}"]
        top += [f"Delivered-To: {recipient}" for recipient in envelope.rcpt_tos]
        self._kept.add("".join(f"{line}\n" for line in top).encode() + content)
        return "250 2.0.0 In the sink"


def tls_context() -> ssl.SSLContext:
    """With a certificate made for this run: opportunistic TLS looks at none."""
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={HOSTNAME}", "-addext", f"subjectAltName=DNS:{HOSTNAME}", "-keyout", key, "-out", chain],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain, key)
    return context


def serve() -> int:
    handler, context = Keep(mailbox.Maildir(KEPT)), tls_context()

    async def run() -> None:
        def session() -> SMTP:
            return SMTP(handler, hostname=HOSTNAME, tls_context=context, enable_SMTPUTF8=True, data_size_limit=0)

        server = await asyncio.get_running_loop().create_server(session, "0.0.0.0", PORT)
        await server.serve_forever()

    asyncio.run(run())
    return 0


def check() -> int:
    with smtplib.SMTP("127.0.0.1", PORT, timeout=4) as client:
        return 0 if client.noop()[0] == 250 else 1


def arrived() -> list[Path]:
    """Oldest first."""
    return sorted(KEPT.glob("new/*"), key=lambda path: path.stat().st_mtime_ns)


def show_all() -> int:
    for number, path in enumerate(arrived(), 1):
        found = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        print(number, found["Return-Path"], ", ".join(found.get_all("Delivered-To", [])), found["Subject"], sep="\t")
    return 0


def show(number: str) -> int:
    found = [path for each, path in enumerate(arrived(), 1) if str(each) == number]
    if not found:
        sys.stderr.write(f"there is no mail {number} in the sink\n")
        return 1
    sys.stdout.buffer.write(found[0].read_bytes())
    return 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["serve"]:
            return serve()
        case ["check"]:
            return check()
        case ["list"]:
            return show_all()
        case ["show", number]:
            return show(number)
        case _:
            sys.stderr.write(__doc__ or "")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
