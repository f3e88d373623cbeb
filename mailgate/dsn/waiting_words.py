"""What notices of mail in quarantine say, in each language."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from mailgate.dsn.notice import Language


@dataclass(frozen=True, slots=True)
class WaitingWords:
    """All phrases of one language. Braces are filled in by `str.format`, `moment` by `strftime`."""

    sender_name: str
    moment: str
    subject: str
    digest_subject: str
    greeting: str
    opening: str
    digest_opening: str
    sender: str
    no_sender: str
    recipient: str
    received: str
    reason: str
    queue_id: str
    deleted: str
    release: str
    more: str
    how_to_release: str
    how_to_release_one: str
    ask: str
    ask_for_others: str
    closing: str
    ask_at: str
    how_to_ask: str
    how_to_ask_one: str
    asked_subject: str
    asked_opening: str
    asked_how: str
    asked_closing: str


_ENGLISH = WaitingWords(
    sender_name="Mail Quarantine",
    moment="%Y-%m-%d, %H:%M UTC",
    subject="Held for you: a message with encrypted content",
    digest_subject="In quarantine for you: {count} new",
    greeting="This is the mail server {hostname}.",
    opening="A message to you is held here and was not delivered: something in it is encrypted, so it "
    "could not be scanned for malware.",
    digest_opening="These messages to you have come since the last notice, and wait in quarantine:",
    sender="From",
    no_sender="(a mail server)",
    recipient="To",
    received="Received",
    reason="Why",
    queue_id="Queue id",
    deleted="Deleted on",
    release="To get it, write to",
    more="And {count} more.",
    how_to_release="Do you know the sender, and expect this message? Then answer this notice from your own "
    "account; no text is needed. The message is scanned again and delivered as it came. This "
    "works until {until}.",
    how_to_release_one="Do you know the sender, and expect the message? Then send an empty message to the address "
    "given with it, from your own account. The message is scanned again and delivered as it came. "
    "This works until {until}.",
    ask="If you need such a message, ask your administrator, and give the queue id.",
    ask_for_others="For a message without such an address ask your administrator, and give the queue id.",
    closing="If you do not expect a message, do nothing: it is deleted on the day given above. Never open "
    "encrypted files from senders you do not know; the password in the message proves nothing.",
    ask_at="To ask your administrators for it, write to",
    how_to_ask="Do you know the sender, and need this message? Then answer this notice from your own account; no text "
    "is needed. Your administrators are asked to release it; until then it stays here.",
    how_to_ask_one="Do you need a message that only your administrators can release? Then send an empty message to the "
    "address given with it, from your own account: they are asked to.",
    asked_subject="{asker} asks you to release a message",
    asked_opening="{asker} asks you, as an administrator, to release a message that is held here:",
    asked_how="If it should go on, answer this notice from your own account; no text is needed. The message is scanned "
    "again and delivered as it came. If malware is found, it stays here.",
    asked_closing="If it should not go on, do nothing, and tell the one who asked.",
)

_GERMAN = WaitingWords(
    sender_name="E-Mail-Quarantäne",
    moment="%d.%m.%Y um %H:%M Uhr (UTC)",
    subject="Für Sie zurückgehalten: eine Nachricht mit verschlüsseltem Inhalt",
    digest_subject="Für Sie in Quarantäne: {count} neu",
    greeting="Hier meldet sich der Mailserver {hostname}.",
    opening="Eine Nachricht an Sie wird hier zurückgehalten und wurde nicht zugestellt: Etwas darin ist "
    "verschlüsselt und konnte deshalb nicht auf Schadprogramme geprüft werden.",
    digest_opening="Diese Nachrichten an Sie sind seit der letzten Mitteilung eingegangen und warten in Quarantäne:",
    sender="Von",
    no_sender="(ein Mailserver)",
    recipient="An",
    received="Eingegangen",
    reason="Grund",
    queue_id="Nummer (Queue-ID)",
    deleted="Gelöscht am",
    release="Um sie zu erhalten, schreiben Sie an",
    more="Und {count} weitere.",
    how_to_release="Kennen Sie den Absender und erwarten Sie die Nachricht? Dann antworten Sie von Ihrem eigenen "
    "Konto auf diese Mitteilung; Text ist nicht nötig. Die Nachricht wird erneut geprüft und "
    "unverändert zugestellt. Das ist möglich bis {until}.",
    how_to_release_one="Kennen Sie den Absender und erwarten Sie die Nachricht? Dann senden Sie von Ihrem eigenen "
    "Konto eine leere Nachricht an die dabei genannte Adresse. Die Nachricht wird erneut geprüft "
    "und unverändert zugestellt. Das ist möglich bis {until}.",
    ask="Brauchen Sie eine solche Nachricht, fragen Sie Ihren Administrator und nennen Sie die Nummer.",
    ask_for_others="Ist zu einer Nachricht keine Adresse genannt, fragen Sie Ihren Administrator und nennen Sie die "
    "Nummer.",
    closing="Erwarten Sie eine Nachricht nicht, müssen Sie nichts tun: Sie wird am oben genannten Tag "
    "gelöscht. Öffnen Sie nie verschlüsselte Dateien von Absendern, die Sie nicht kennen; das "
    "Passwort in der Nachricht beweist nichts.",
    ask_at="Um Ihre Administratoren darum zu bitten, schreiben Sie an",
    how_to_ask="Kennen Sie den Absender und brauchen Sie die Nachricht? Dann antworten Sie von Ihrem eigenen Konto auf "
    "diese Mitteilung; Text ist nicht nötig. Ihre Administratoren werden um die Freigabe gebeten; bis dahin bleibt die "
    "Nachricht hier.",
    how_to_ask_one="Brauchen Sie eine Nachricht, die nur Ihre Administratoren freigeben können? Dann senden Sie von "
    "Ihrem eigenen Konto eine leere Nachricht an die dabei genannte Adresse: Sie werden darum gebeten.",
    asked_subject="{asker} bittet Sie um die Freigabe einer Nachricht",
    asked_opening="{asker} bittet Sie als Administrator, eine Nachricht freizugeben, die hier zurückgehalten wird:",
    asked_how="Soll sie weitergehen, antworten Sie von Ihrem eigenen Konto auf diese Mitteilung; Text ist nicht nötig. "
    "Die Nachricht wird erneut geprüft und unverändert zugestellt. Wird ein Schadprogramm gefunden, bleibt sie hier.",
    asked_closing="Soll sie nicht weitergehen, tun Sie nichts und sagen Sie es dem, der gefragt hat.",
)

WAITING_WORDS: Mapping[Language, WaitingWords] = {"en": _ENGLISH, "de": _GERMAN}


def moment(seconds: float, words: WaitingWords) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime(words.moment)
