"""The first part of a notice, for people: what happened, to whom, what the other server said, what can be done."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailgate.dsn.explanations import explanation
from mailgate.dsn.lines import host, one_line, paragraph
from mailgate.dsn.notice import Action, Fate, Language, Notice


@dataclass(frozen=True, slots=True)
class Words:
    """All phrases of one language. Braces are filled in by `str.format`, `moment` by `strftime`."""

    sender_name: str
    moment: str
    subjects: Mapping[Action, str]
    and_others: str
    greeting: str
    openings: Mapping[Action, str]
    happened: str
    server_said: str
    some_server_said: str
    cause: str
    to_do: str
    handed_to: str
    closing: str
    returned_whole: str
    returned_header: str


_ENGLISH = Words(
    sender_name="Mail Delivery",
    moment="%Y-%m-%d, %H:%M UTC",
    subjects={
        Action.FAILED: "Not delivered: your message to {recipient}",
        Action.DELAYED: "Delayed: your message to {recipient}",
        Action.HELD: "Held back: your message to {recipient}",
        Action.WAITING: "Waiting: your message to {recipient}",
        Action.DELIVERED: "Delivered: your message to {recipient}",
        Action.RELAYED: "Passed on: your message to {recipient}",
    },
    and_others=" and {count} more",
    greeting="This is the mail server {hostname}.",
    openings={
        Action.FAILED: "Your message could not be delivered to the recipients below. It is not tried again.",
        Action.DELAYED: "Your message has not reached the recipients below yet. You need not do anything: it is tried "
        "again until {until}. You get another notice if it can't be delivered by then.",
        Action.HELD: "Your message is held back here and has not reached the recipients below. It can be released "
        "until {until}; if nobody does, you get another notice.",
        Action.WAITING: "Your message has not reached the recipients below yet.",
        Action.DELIVERED: "As you asked to be told: your message was delivered to the recipients below.",
        Action.RELAYED: "As you asked to be told: your message was passed on to the mail server of the recipients "
        "below. That server does not say whether it delivers the message.",
    },
    happened="What happened: {text}",
    server_said="What the server {host} said: {text}",
    some_server_said="What the other server said: {text}",
    cause="In detail: {text}",
    to_do="What you can do: {text}",
    handed_to="Taken by {host}",
    closing="Your message came in on {date} and has the queue id {queue_id} here. Give this id when you ask your "
    "administrator for help.",
    returned_whole="Your message is attached.",
    returned_header="The header of your message is attached.",
)

_GERMAN = Words(
    sender_name="E-Mail-Zustellung",
    moment="%d.%m.%Y um %H:%M Uhr (UTC)",
    subjects={
        Action.FAILED: "Nicht zugestellt: Ihre Nachricht an {recipient}",
        Action.DELAYED: "Verzögert: Ihre Nachricht an {recipient}",
        Action.HELD: "Zurückgehalten: Ihre Nachricht an {recipient}",
        Action.WAITING: "Noch nicht unterwegs: Ihre Nachricht an {recipient}",
        Action.DELIVERED: "Zugestellt: Ihre Nachricht an {recipient}",
        Action.RELAYED: "Weitergegeben: Ihre Nachricht an {recipient}",
    },
    and_others=" und {count} weitere",
    greeting="Hier meldet sich der Mailserver {hostname}.",
    openings={
        Action.FAILED: "Ihre Nachricht konnte den folgenden Empfängern nicht zugestellt werden. Es wird nicht weiter "
        "versucht.",
        Action.DELAYED: "Ihre Nachricht hat die folgenden Empfänger noch nicht erreicht. Sie müssen nichts tun: Es "
        "wird bis {until} weiter versucht. Gelingt es bis dahin nicht, erhalten Sie eine weitere Mitteilung.",
        Action.HELD: "Ihre Nachricht wird hier zurückgehalten und hat die folgenden Empfänger nicht erreicht. Bis "
        "{until} kann sie freigegeben werden; geschieht das nicht, erhalten Sie eine weitere Mitteilung.",
        Action.WAITING: "Ihre Nachricht hat die folgenden Empfänger noch nicht erreicht.",
        Action.DELIVERED: "Sie wollten es wissen: Ihre Nachricht wurde den folgenden Empfängern zugestellt.",
        Action.RELAYED: "Sie wollten es wissen: Ihre Nachricht wurde dem Mailserver der folgenden Empfänger übergeben. "
        "Dieser Server meldet nicht, ob er sie zustellt.",
    },
    happened="Was geschehen ist: {text}",
    server_said="Antwort des Servers {host}: {text}",
    some_server_said="Antwort des anderen Servers: {text}",
    cause="Im Einzelnen: {text}",
    to_do="Was Sie tun können: {text}",
    handed_to="Angenommen von {host}",
    closing="Ihre Nachricht ging am {date} ein und hat hier die Nummer (Queue-ID) {queue_id}. Nennen Sie diese Nummer, "
    "wenn Sie Ihren Administrator um Hilfe bitten.",
    returned_whole="Ihre Nachricht ist angehängt.",
    returned_header="Der Kopf Ihrer Nachricht ist angehängt.",
)

WORDS: Mapping[Language, Words] = {"en": _ENGLISH, "de": _GERMAN}


def subject(notice: Notice) -> str:
    words = WORDS[notice.language]
    more = len(notice.fates) - 1
    first = one_line(notice.fates[0].recipient.forward_path)
    others = words.and_others.format(count=more) if more else ""
    return words.subjects[notice.action].format(recipient=first) + others


def readable(notice: Notice) -> str:
    """Lines end in CR LF."""
    words = WORDS[notice.language]
    until = max((fate.retry_until for fate in notice.fates if fate.retry_until is not None), default=notice.now)
    lines = [
        *paragraph(words.greeting.format(hostname=notice.hostname)),
        "",
        *paragraph(words.openings[notice.action].format(until=_moment(until, words))),
        "",
    ]
    for fate in notice.fates:
        lines += [f"  {one_line(fate.recipient.forward_path)}"]
        for sentence in _about(fate, notice.language, bool(notice.answer_to)):
            lines += paragraph(sentence, "    ")
        lines += [""]
    date = _moment(notice.envelope.received_at, words)
    lines += paragraph(words.closing.format(date=date, queue_id=notice.envelope.queue_id))
    lines += paragraph(words.returned_whole if notice.returned.is_whole else words.returned_header)
    return "".join(f"{line}\r\n" for line in lines)


def _moment(seconds: float, words: Words) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime(words.moment)


def _about(fate: Fate, language: Language, may_ask: bool) -> Iterator[str]:
    words, outcome = WORDS[language], fate.outcome
    remote = host(outcome.remote_mta)
    if fate.action.is_good:
        if remote:
            yield words.handed_to.format(host=remote)
        return
    what, to_do = explanation(fate, language, may_ask)
    yield words.happened.format(text=what)
    if outcome.reply:
        phrase = words.server_said if remote else words.some_server_said
        yield phrase.format(host=remote, text=one_line(outcome.reply))
    elif outcome.text:
        yield words.cause.format(text=one_line(outcome.text))
    if fate.action is not Action.DELAYED:
        yield words.to_do.format(text=to_do)
