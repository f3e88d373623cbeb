"""What a status code means to the person who sent the message, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping

from mailgate.dsn.notice import Action, Fate, Language
from mailgate.model.outcome import State

Explanation = tuple[str, str]
"""What happened; what the sender can do."""

_ENGLISH: Mapping[str, Explanation] = {
    "held, ask": (
        "A rule of your mail server keeps the message in quarantine.",
        "Remove what is named above and send the message again. If it must go as it is, answer this notice from your "
        "own account; no text is needed: your administrators are asked to release it.",
    ),
    "held": (
        "A rule of your mail server keeps the message in quarantine.",
        "Remove what is named above and send the message again. If it must go as it is, ask your administrator, and "
        "give the queue id below.",
    ),
    "waiting": (
        "Your mail server keeps the message back for the time being.",
        "Nothing, if it can wait: it goes on as soon as what holds it up has passed. Else ask your administrator.",
    ),
    "not released": (
        "Your mail server kept the message in quarantine, and nobody released it.",
        "Remove what is named above and send the message again, or ask your administrator first.",
    ),
    "1.1": (
        "The address does not exist at the other mail server.",
        "Check how the address is written, then send the message again.",
    ),
    "1.2": (
        "The domain of the address does not exist, or takes no mail.",
        "Check the part after the @, then send the message again.",
    ),
    "1.10": ("The domain of the address takes no mail.", "Ask the recipient for another address."),
    "2.1": (
        "The mailbox is switched off.",
        "Reach the recipient in another way.",
    ),
    "2.2": (
        "The mailbox is full.",
        "Ask the recipient, in another way, to make room; then send the message again.",
    ),
    "3.4": (
        "The message is larger than the other mail server takes.",
        "Send it with smaller attachments, or share them in another way.",
    ),
    "4.6": (
        "The message goes round in circles between mail servers.",
        "Tell the recipient: a forwarding rule there leads back to itself.",
    ),
    "4.7": (
        "The other mail server could not be reached, or did not take the message, for as long as it was tried.",
        "Check the part of the address after the @. If it is right, try again later, or reach the recipient in another "
        "way.",
    ),
    "4": (
        "The other mail server could not be reached.",
        "Check the part of the address after the @. If it is right, try again later.",
    ),
    "6.3": (
        "The message holds characters in a form that the other mail server can't take.",
        "Send it as plain text, or with another mail program.",
    ),
    "6.7": (
        "An address with letters beyond a-z is used, which the other mail server does not know.",
        "Use addresses made of plain letters, if the recipient has one.",
    ),
    "7.10": (
        "You asked for protected transport (REQUIRETLS), but no connection to the other mail server was private "
        "enough.",
        "Ask the recipient's administrator, or send the message without this demand.",
    ),
    "7.30": (
        "You asked for protected transport (REQUIRETLS), which the other mail server does not promise.",
        "Ask the recipient's administrator, or send the message without this demand.",
    ),
    "7": (
        "The message was refused for reasons of security or policy.",
        "What the server said tells why. If that does not help, ask your administrator.",
    ),
    "": (
        "The other mail server refused the message.",
        "What the server said tells why. If that does not help, ask your administrator.",
    ),
}

_GERMAN: Mapping[str, Explanation] = {
    "held, ask": (
        "Eine Regel Ihres Mailservers hält die Nachricht in Quarantäne zurück.",
        "Entfernen Sie, was oben genannt ist, und senden Sie die Nachricht noch einmal. Muss sie so hinaus, wie sie "
        "ist, antworten Sie von Ihrem eigenen Konto auf diese Mitteilung; Text ist nicht nötig: Ihre Administratoren "
        "werden dann um die Freigabe gebeten.",
    ),
    "held": (
        "Eine Regel Ihres Mailservers hält die Nachricht in Quarantäne zurück.",
        "Entfernen Sie, was oben genannt ist, und senden Sie die Nachricht noch einmal. Muss sie so hinaus, wie sie "
        "ist, fragen Sie Ihren Administrator und nennen Sie die unten stehende Nummer.",
    ),
    "waiting": (
        "Ihr Mailserver hält die Nachricht vorerst zurück.",
        "Nichts, wenn sie warten kann: Sie geht weiter, sobald vorbei ist, was sie aufhält. Sonst fragen Sie Ihren "
        "Administrator.",
    ),
    "not released": (
        "Ihr Mailserver hat die Nachricht in Quarantäne zurückgehalten, und niemand hat sie freigegeben.",
        "Entfernen Sie, was oben genannt ist, und senden Sie die Nachricht noch einmal, oder fragen Sie vorher Ihren "
        "Administrator.",
    ),
    "1.1": (
        "Die Adresse gibt es auf dem anderen Mailserver nicht.",
        "Prüfen Sie die Schreibweise der Adresse und senden Sie die Nachricht noch einmal.",
    ),
    "1.2": (
        "Die Domain der Adresse gibt es nicht, oder sie nimmt keine E-Mail an.",
        "Prüfen Sie den Teil nach dem @ und senden Sie die Nachricht noch einmal.",
    ),
    "1.10": (
        "Die Domain der Adresse nimmt keine E-Mail an.",
        "Fragen Sie den Empfänger nach einer anderen Adresse.",
    ),
    "2.1": ("Das Postfach ist abgeschaltet.", "Wenden Sie sich auf anderem Weg an den Empfänger."),
    "2.2": (
        "Das Postfach ist voll.",
        "Bitten Sie den Empfänger auf anderem Weg, Platz zu schaffen, und senden Sie die Nachricht dann noch einmal.",
    ),
    "3.4": (
        "Die Nachricht ist größer, als der andere Mailserver annimmt.",
        "Senden Sie sie mit kleineren Anhängen, oder geben Sie diese auf anderem Weg weiter.",
    ),
    "4.6": (
        "Die Nachricht läuft zwischen Mailservern im Kreis.",
        "Sagen Sie es dem Empfänger: Eine Weiterleitung bei ihm führt zu sich selbst zurück.",
    ),
    "4.7": (
        "Der andere Mailserver war die ganze Zeit nicht erreichbar oder hat die Nachricht nicht angenommen.",
        "Prüfen Sie den Teil der Adresse nach dem @. Stimmt er, versuchen Sie es später noch einmal oder wenden Sie "
        "sich auf anderem Weg an den Empfänger.",
    ),
    "4": (
        "Der andere Mailserver war nicht erreichbar.",
        "Prüfen Sie den Teil der Adresse nach dem @. Stimmt er, versuchen Sie es später noch einmal.",
    ),
    "6.3": (
        "Die Nachricht enthält Zeichen in einer Form, die der andere Mailserver nicht annimmt.",
        "Senden Sie sie als reinen Text oder mit einem anderen Mailprogramm.",
    ),
    "6.7": (
        "Eine der Adressen enthält Buchstaben außerhalb von a-z, die der andere Mailserver nicht kennt.",
        "Verwenden Sie Adressen aus einfachen Buchstaben, falls der Empfänger eine solche hat.",
    ),
    "7.10": (
        "Sie haben geschützten Transport verlangt (REQUIRETLS), aber keine Verbindung zum anderen Mailserver war "
        "vertraulich genug.",
        "Fragen Sie den Administrator des Empfängers oder senden Sie die Nachricht ohne diese Forderung.",
    ),
    "7.30": (
        "Sie haben geschützten Transport verlangt (REQUIRETLS), den der andere Mailserver nicht zusagt.",
        "Fragen Sie den Administrator des Empfängers oder senden Sie die Nachricht ohne diese Forderung.",
    ),
    "7": (
        "Die Nachricht wurde aus Gründen der Sicherheit oder nach den Regeln des Empfängers abgelehnt.",
        "Die Antwort des Servers nennt den Grund. Hilft das nicht weiter, fragen Sie Ihren Administrator.",
    ),
    "": (
        "Der andere Mailserver hat die Nachricht abgelehnt.",
        "Die Antwort des Servers nennt den Grund. Hilft das nicht weiter, fragen Sie Ihren Administrator.",
    ),
}

_BY_LANGUAGE: Mapping[Language, Mapping[str, Explanation]] = {"en": _ENGLISH, "de": _GERMAN}


def explanation(fate: Fate, language: Language, may_ask: bool = False) -> Explanation:
    """The most exact one that there is for the subject and detail of the status (RFC 3463). `may_ask`: an answer to the
    notice asks the administrators."""
    known = _BY_LANGUAGE[language]
    if fate.action is Action.HELD:
        return known["held, ask" if may_ask else "held"]
    if fate.action is Action.WAITING:
        return known["waiting"]
    if fate.outcome.state is State.DELETED:
        return known["not released"]
    exact = fate.status.partition(".")[2]
    return known.get(exact) or known.get(exact.partition(".")[0]) or known[""]
