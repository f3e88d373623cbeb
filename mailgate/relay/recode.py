"""Mail in the form that a next hop can take: without 8-bit bodies where it lacks 8BITMIME (RFC 6152 section 3), and
what a tenant sends without lines that are too long (RFC 5322 section 2.1.1). Done before our own signatures are made,
so that they hold; never where it would break somebody else's that counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mailgate.model.envelope import Direction
from mailgate.recoding.entity import NotConvertibleError
from mailgate.recoding.plan import Aim, planned
from mailgate.relay.mail import Mail
from mailgate.relay.signing import Signer
from mailgate.senderauth import header
from mailgate.senderauth.author import AuthorError, author_domains
from mailgate.senderauth.dkim_signature import SignatureError, parse

SHORT_LINES = Aim(short_lines=True)


async def short_lined(mail: Mail, signer: Signer) -> Mail:
    """Unchanged where nothing has to change; and where nothing may, such as mail of a server that signs itself."""
    if mail.envelope.direction is not Direction.OUTBOUND or not mail.traits.has_long_lines:
        return mail
    try:
        return await _recoded(mail, SHORT_LINES, signer, "short lines")
    except NotConvertibleError:
        return mail


async def seven_bit(mail: Mail, signer: Signer) -> Mail:
    """NotConvertibleError where it can't be had."""
    is_sent = mail.envelope.direction is Direction.OUTBOUND
    return await _recoded(mail, Aim(seven_bit=True, short_lines=is_sent), signer, "7-bit")


async def _recoded(mail: Mail, aim: Aim, signer: Signer, name: str) -> Mail:
    edits = await planned(mail.source, aim)
    if not edits:
        return mail
    await _check_signature(mail, signer)
    size, edited = 0, replace(mail, edits=edits)
    for data in edited.chunks():
        size += len(data)
        await asyncio.sleep(0)
    return replace(edited, size=size, growth=size - mail.size, facts={**mail.facts, "recoded": name})


async def _check_signature(mail: Mail, signer: Signer) -> None:
    """A DKIM signature of the author's domain is what DMARC passes by (RFC 9989) at whoever gets it next. It may break
    where we sign for that domain; and on the way to the tenant's own server, since it was verified here."""
    is_last = mail.envelope.direction is Direction.INBOUND and not mail.recipients[0].forwarder
    if is_last:
        return
    found = header.read(mail.head)
    if _is_signed_by_author(found) and not await signer.signs(mail, found):
        raise NotConvertibleError("it has a DKIM signature of its author's domain, which would break")


def _is_signed_by_author(found: header.Header) -> bool:
    signers = set()
    for field in found.named(b"dkim-signature"):
        try:
            signers.add(parse(field.raw).domain)
        except SignatureError:
            continue
    if not signers:
        return False
    try:
        authors = author_domains(found)
    except AuthorError:
        return True  # of whom nobody can say whether he is one of them
    return any(_are_related(signer, author) for signer in signers for author in authors)


def _are_related(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
