"""Which mail exists for a caller: what they sent, and what is for mailboxes that exist for them. Pure.

A message with several recipients is shown to each as if there were no other: who else got it may be a secret."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailgate.model.envelope import Direction, Envelope, MailboxId, Recipient, TenantName


@dataclass(frozen=True, slots=True)
class View:
    """`mailboxes` are those that exist for the caller; mail for a tenant's own server lies in none, and is for its
    administrators to see. `handed`: queue id and forward-path of what its owners have handed to them."""

    tenant: TenantName
    login: str
    mailboxes: frozenset[MailboxId]
    is_administrator: bool = False
    handed: frozenset[tuple[str, str]] = frozenset()

    def holds(self, envelope: Envelope, forward_path: str, mailbox: str) -> bool:
        """Of an envelope that is shown: does this waiting recipient exist for the caller?"""
        return forward_path in paths(envelope) and (
            not mailbox
            or self._is_sender(envelope)
            or mailbox in self.mailboxes
            or (envelope.queue_id, forward_path) in self.handed
        )

    def shown(self, envelope: Envelope) -> Envelope | None:
        """The envelope with the recipients that the caller may know of; None where the message does not exist for
        them."""
        if envelope.tenant != self.tenant:
            return None
        if self._is_sender(envelope):
            return envelope
        visible = tuple(self._own(envelope, each) for each in envelope.recipients if self._sees(envelope, each))
        return replace(envelope, recipients=visible) if visible else None

    def _own(self, envelope: Envelope, recipient: Recipient) -> Recipient:
        if (envelope.queue_id, recipient.forward_path) in self.handed:
            return recipient
        return replace(recipient, mailboxes=tuple(each for each in recipient.mailboxes if each in self.mailboxes))

    def _is_sender(self, envelope: Envelope) -> bool:
        return envelope.direction is Direction.OUTBOUND and bool(self.login) and envelope.client.account == self.login

    def _sees(self, envelope: Envelope, recipient: Recipient) -> bool:
        if (envelope.queue_id, recipient.forward_path) in self.handed:
            return True
        if recipient.mailboxes:
            return not self.mailboxes.isdisjoint(recipient.mailboxes)
        return self.is_administrator and envelope.direction is Direction.INBOUND


def paths(envelope: Envelope) -> frozenset[str]:
    return frozenset(recipient.forward_path for recipient in envelope.recipients)
