"""Sends one mail from outside to the demo tenant, and prints the gateway's reply: `attachment`, or `eicar`."""

from __future__ import annotations

import smtplib
import sys
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid

from mailgate import settings
from scripts.demo import PEOPLE
from scripts.demo_clamd import EICAR

SENDER = "visitor@outside.example"
ATTACHMENTS = {"attachment": ("notes.txt", b"Remember the milk.\r\n"), "eicar": ("invoice.com", EICAR)}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in ATTACHMENTS:
        sys.stderr.write(f"usage: python -m scripts.demo_send {'|'.join(ATTACHMENTS)}\n")
        return 2
    message = compose(*ATTACHMENTS[arguments[0]])
    where = settings.load().mx_listen[0]
    try:
        with smtplib.SMTP(where.host or "localhost", where.port, local_hostname="outside.example") as client:
            client.ehlo()
            client.mail(SENDER)
            client.rcpt(PEOPLE[1])
            code, text = client.data(message.as_bytes(policy=SMTP))
    except (OSError, smtplib.SMTPException) as error:
        sys.stderr.write(f"no gateway answers on {where}: {error}\n")
        return 3
    sys.stdout.write(f"the gateway answered: {code} {text.decode()}\n")
    sys.stdout.write(f"its whole story:       .venv/bin/mailgate trace '{message['Message-ID']}'\n")
    return 0


def compose(name: str, content: bytes) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = PEOPLE[1]
    message["Subject"] = f"With {name}"
    message["Message-ID"] = make_msgid(domain="outside.example")
    message.set_content("The attachment is what this is about.\n")
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
