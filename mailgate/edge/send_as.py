"""May a user who has logged in send as those whom a message names? (RFC 6409 section 6.1) Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mailgate.edge import replies
from mailgate.model.address import Address
from mailgate.model.errors import Refusal
from mailgate.senderauth.author import AuthorError, addresses_in, authors
from mailgate.senderauth.header import Header
from mailgate.tenancy.addresses import canonical_local, without_label

_SENDERS = {b"sender": "Sender", b"resent-from": "Resent-From", b"resent-sender": "Resent-Sender"}
"""Beside From: whom else mail programs show as the one who sent it."""


@dataclass(frozen=True, slots=True)
class SendAs:
    """`allowed`: canonical addresses. `has_labels`: `bob+shop@` is Bob's where `bob@` is."""

    allowed: frozenset[str]
    has_labels: bool = True

    def covers(self, address: Address) -> bool:
        local = canonical_local(address.local)
        forms = {local, without_label(local)} if self.has_labels else {local}
        return any(f"{form}@{address.domain}" in self.allowed for form in forms)

    def check(self, found: Header) -> None:
        """Refusal unless it names an author, and every author and sender in it is
        covered; fields that can be read in several ways are refused, so everybody reads the same."""
        try:
            named = [("From", address) for address in authors(found)]
            for field in found.named(*_SENDERS):
                name = _SENDERS[field.name]
                named += [(name, address) for address in addresses_in(field, name)]
        except AuthorError as error:
            raise Refusal(replies.bad_author(str(error))) from None
        for name, address in named:
            if not self.covers(address):
                raise Refusal(replies.not_yours(str(address), name))


NOBODY = SendAs(frozenset())
