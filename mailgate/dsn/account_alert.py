"""Tells people that something is wrong with an account: it sends unusually much and its mail is held, or many networks
guess its password. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

from mailgate.dsn.compose import Composed, header_text, plain_notice
from mailgate.dsn.lines import paragraph
from mailgate.dsn.notice import Language
from mailgate.model.envelope import QueueId


class About(enum.Enum):
    """For whom it is: of guesses the account's owner and the administrators read different things."""

    VOLUME = "unusual volume"
    GUESSES = "guessed passwords"
    GUESSES_AT_OWN = "guessed passwords of the reader"


@dataclass(frozen=True, slots=True)
class AccountAlert:
    """`account` is the login; `reason` what was seen: of a volume the limit that it passed, of guesses their number.
    `now` in seconds since 1970."""

    queue_id: QueueId
    recipient: str
    about: About
    account: str
    reason: str
    hostname: str
    language: Language
    now: float


@dataclass(frozen=True, slots=True)
class _Words:
    sender_name: str
    subject: str
    text: tuple[str, ...]


_WORDS: dict[tuple[Language, About], _Words] = {
    ("en", About.VOLUME): _Words(
        "Mail gateway",
        "Mail of {account} is held",
        (
            "{account} has sent unusually much mail: {reason}. Somebody else may know the password. What the account "
            "sends is accepted and held from now on; nobody has been told but you.",
            "If it was not the owner: set a new password (mailgate user passwd {account}) and let the operator of the "
            "gateway delete what is held (mailgate queue delete --why {account}).",
            "If all is well: mailgate user release {account} delivers what is held and ends the hold.",
        ),
    ),
    ("de", About.VOLUME): _Words(
        "Mail-Gateway",
        "E-Mails von {account} werden angehalten",
        (
            "{account} hat ungewöhnlich viele E-Mails gesendet ({reason}). Vielleicht kennt jemand anderes das "
            "Passwort. Was das Konto sendet, wird ab jetzt angenommen und angehalten; außer Ihnen weiß das niemand.",
            "War es nicht der Inhaber: Setzen Sie ein neues Passwort (mailgate user passwd {account}) und lassen Sie "
            "den Betreiber des Gateways löschen, was angehalten ist (mailgate queue delete --why {account}).",
            "Ist alles in Ordnung: mailgate user release {account} stellt das Angehaltene zu und beendet das Anhalten.",
        ),
    ),
    ("en", About.GUESSES): _Words(
        "Mail gateway",
        "Somebody is guessing the password of {account}",
        (
            "Many networks try passwords for {account} ({reason} wrong ones in a day). None of these tries was right.",
            "Until it stops, the password opens the account only from networks that it has logged in from before; app "
            "passwords work everywhere. So the owner can go on as usual, and needs an app password at a new place.",
            "Where the tries come from: mailgate user logins {account} (the owner or an operator). If the owner can't "
            "log in: mailgate user unlock {account} opens the account again and forgets the failures.",
        ),
    ),
    ("de", About.GUESSES): _Words(
        "Mail-Gateway",
        "Jemand probiert Passwörter für {account}",
        (
            "Aus vielen Netzen werden Passwörter für {account} probiert ({reason} falsche an einem Tag). Keiner dieser "
            "Versuche war richtig.",
            "Solange das anhält, öffnet das Passwort das Konto nur aus Netzen, aus denen es sich schon früher "
            "angemeldet hat; App-Passwörter gelten überall. Der Inhaber kann also wie gewohnt arbeiten und braucht "
            "nur an einem neuen Ort ein App-Passwort.",
            "Woher die Versuche kommen: mailgate user logins {account} (der Inhaber oder ein Betreiber). Kann sich der "
            "Inhaber nicht anmelden: mailgate user unlock {account} öffnet das Konto wieder und vergisst die "
            "Fehlversuche.",
        ),
    ),
    ("en", About.GUESSES_AT_OWN): _Words(
        "Mail gateway",
        "Somebody is guessing your password",
        (
            "Many networks try passwords for {account} ({reason} wrong ones in a day). None of these tries was right, "
            "and you need not do anything.",
            "Until it stops, your password works only in networks where you have logged in before; app passwords work "
            "everywhere. If you can't log in at a new place, ask your administrator.",
            "If you use this password elsewhere too, or it is an old one, set a new one now. Who tried, and when: "
            "mailgate user logins {account}",
        ),
    ),
    ("de", About.GUESSES_AT_OWN): _Words(
        "Mail-Gateway",
        "Jemand probiert Ihr Passwort",
        (
            "Aus vielen Netzen werden Passwörter für {account} probiert ({reason} falsche an einem Tag). Keiner dieser "
            "Versuche war richtig; Sie müssen nichts tun.",
            "Solange das anhält, gilt Ihr Passwort nur in Netzen, aus denen Sie sich schon früher angemeldet haben; "
            "App-Passwörter gelten überall. Wenn Sie sich an einem neuen Ort nicht anmelden können, fragen Sie Ihren "
            "Administrator.",
            "Benutzen Sie dieses Passwort auch anderswo, oder ist es alt, setzen Sie jetzt ein neues. Wer es wann "
            "versucht hat: mailgate user logins {account}",
        ),
    ),
}


def compose_alert(alert: AccountAlert) -> Composed:
    words = _WORDS[alert.language, alert.about]
    lines = [
        line
        for text in words.text
        for line in (*paragraph(text.format(account=alert.account, reason=alert.reason)), "")
    ]
    message_id = f"<{alert.queue_id}.alert@{alert.hostname}>"
    return plain_notice(
        _fields(alert, words, message_id),
        "".join(f"{line}\r\n" for line in lines),
        message_id,
        not alert.recipient.isascii(),
    )


def _fields(alert: AccountAlert, words: _Words, message_id: str) -> Iterator[tuple[str, str]]:
    yield "From", f"{header_text(words.sender_name)} <postmaster@{alert.hostname}>"
    yield "To", f"<{alert.recipient}>"
    yield "Subject", header_text(words.subject.format(account=alert.account))
    yield "Date", formatdate(alert.now)
    yield "Message-ID", message_id
    yield "Auto-Submitted", "auto-generated"
    yield "Content-Language", alert.language
    yield "MIME-Version", "1.0"
