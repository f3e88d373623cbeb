"""Mail transactions: MAIL, RCPT, DATA, BDAT (RFC 5321 section 3.3, RFC 3030)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NoReturn

from mailgate.edge import message_end, parameters, release, replies
from mailgate.edge.connection import SessionEnd
from mailgate.edge.data import ByteCheck, ChunkReceiver, DataReceiver
from mailgate.edge.dialogue import Dialogue
from mailgate.edge.limits import neighbourhood_of
from mailgate.edge.origin import Origin, of_server
from mailgate.edge.send_as import SendAs
from mailgate.edge.shedding import Reason
from mailgate.edge.transaction import Transaction, new_queue_id
from mailgate.edge.verify import Standing
from mailgate.ipc.calls import Resolved
from mailgate.model.address import POSTMASTER, Address, AddressError, refuse_ambiguous
from mailgate.model.envelope import Direction, Recipient, TenantName
from mailgate.model.errors import Refusal, UnavailableError
from mailgate.model.release_address import is_release_local
from mailgate.tenancy.addresses import ON_DUTY, canonical_local

LARGEST_CHUNK = 1 << 30  # bytes of a BDAT chunk that are read at all, be it to throw them away
COMMANDS = (
    *("EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT"),
    *("RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT"),
)
_NOT_KNOWN_THERE = {
    Standing.UNKNOWN: replies.UNKNOWN_RECIPIENT,
    Standing.AWAY: replies.SERVER_AWAY,
    Standing.LATER: replies.SERVER_SAYS_LATER,
    Standing.REFUSED: replies.SERVER_REFUSES_US,
}
_NO_RECIPIENT = {
    "unknown": replies.UNKNOWN_RECIPIENT,
    "disabled": replies.RECIPIENT_DISABLED,
    "unavailable": replies.DIRECTORY_AWAY,
}


class Session(Dialogue):
    """The whole of one SMTP session."""

    async def smtp_MAIL(self, argument: bytes) -> None:
        if not self.session.host_name:
            raise Refusal(replies.HELO_FIRST)
        if self.listener.offers_auth and not self.client.account:
            raise Refusal(replies.AUTH_REQUIRED if self.client.tls_version else replies.TLS_REQUIRED)
        if self.tx is not None:
            raise Refusal(replies.NESTED_MAIL)
        if self.edge.is_draining:
            raise SessionEnd(replies.SHUTTING_DOWN)
        self._count("messages", self.limits.messages, replies.TOO_MANY_MESSAGES)
        command = parameters.parse_mail(
            argument,
            self.session.extended_smtp,
            self.listener.offers_dsn,
            bool(self.client.tls_version),
            is_own=self._is_own,
        )
        send_as = self._send_as()
        if self.client.account and command.reverse_path is not None and not send_as.covers(command.reverse_path):
            raise Refusal(replies.NOT_YOUR_ADDRESS)
        if command.size > self.edge.size_limit():
            raise Refusal(replies.TOO_LARGE)
        if not self.edge.has_room(command.size):
            raise Refusal(replies.NO_ROOM)
        origin = await self._origin(command.reverse_path)
        queue_id = new_queue_id(time.time())
        self.tx = Transaction(
            around=self.edge.around,
            queue_id=queue_id,
            tenant=origin.tenant,
            direction=origin.direction,
            client=self.client,
            reverse_path=str(command.reverse_path or ""),
            staging=self.edge.stage(queue_id),
            smtputf8=command.smtputf8,
            is_8bit=command.body == "8BITMIME",
            ret=command.ret,
            envid=command.envid,
            declared=command.size,
            requiretls=command.requiretls,
            let_in_by=origin.let_in_by,
            send_as=send_as,
        )
        # a tenant that alone wants checks gets them at the end of the message: whose it is shows at RCPT only
        self.tx.check_sender(self.edge.around.policy().for_gateway.authentication.check)
        await self.say(replies.SENDER_OK)

    @property
    def _is_own(self) -> bool:
        """Has it logged in, or is its address in the lists of a tenant (`[sending] networks`)?"""
        return bool(self.client.account or self.edge.around.policy().senders_at(self.client.address))

    def _send_as(self) -> SendAs:
        has_labels = self.edge.around.policy().for_tenant(self.tenant).addresses.labels
        return SendAs(frozenset(self.send_as), has_labels)

    async def _origin(self, sender: Address | None) -> Origin:
        if self.client.account:
            return Origin(self.tenant, Direction.OUTBOUND)
        policy = self.edge.around.policy()
        return await of_server(policy, self.client.address, self.certificate, sender, self._owner, time.time())

    async def _owner(self, address: Address) -> str:
        found = await self._resolve(address)
        return found.tenant if found.kind != "disabled" else ""

    async def _resolve(self, address: Address) -> Resolved:
        try:
            return await self.edge.store.resolve(address)
        except UnavailableError:
            raise Refusal(replies.DIRECTORY_AWAY) from None

    async def smtp_RCPT(self, argument: bytes) -> None:
        tx = self._transaction()
        if self._chunks is not None:
            raise Refusal(replies.BDAT_UNDER_WAY)
        is_own = tx.direction is Direction.OUTBOUND
        command = parameters.parse_rcpt(
            argument, self.session.extended_smtp, tx.smtputf8, self.listener.offers_dsn, is_own
        )
        tenant, led_to = await self._route_or_count(tx, command.forward_path)
        if tx.named >= self.edge.around.policy().for_tenant(tenant).limits.recipients:
            raise Refusal(replies.TOO_MANY_RECIPIENTS)
        tx.named += 1
        known = {recipient.forward_path for _, recipient in tx.recipients}
        for recipient in led_to:
            if recipient.forward_path not in known:
                tx.recipients.append((tenant, replace(recipient, notify=command.notify, orcpt=command.orcpt)))
        await self.say(replies.RECIPIENT_OK)

    async def _route_or_count(self, tx: Transaction, address: Address) -> tuple[TenantName, tuple[Recipient, ...]]:
        """Strangers who are refused too often hear nothing more of who is here. What is taken already goes its way."""
        if tx.direction is Direction.OUTBOUND:
            return await self._route(tx, address)
        limits, client = self.limits, self.client.address
        if address.local.lower() not in ON_DUTY and self.edge.guesses.is_over(
            client, limits.unknown_recipients_per_hour
        ):
            self.edge.shedding.tell(Reason.RECIPIENTS_PER_HOUR, neighbourhood_of(client))
            self._count("errors", limits.errors, replies.TOO_MANY_UNKNOWN)
            raise Refusal(replies.TOO_MANY_UNKNOWN_LATELY)
        if self._guesses.excess >= limits.unknown_recipients:
            self._end_guessing(tx)
        try:
            found = await self._route(tx, address)
        except Refusal as refusal:
            if refusal.reply.code == 550:
                self._guesses.refused()
                self.edge.guesses.refused(client, limits.unknown_recipients_per_hour)
                await self._sit_out(self._guesses.delay)
            raise
        self._guesses.good(str(address))
        return found

    def _end_guessing(self, tx: Transaction) -> NoReturn:
        self.edge.shedding.tell(Reason.RECIPIENTS, neighbourhood_of(self.client.address))
        if not tx.recipients:
            raise SessionEnd(replies.TOO_MANY_UNKNOWN)
        self._count("errors", self.limits.errors, replies.TOO_MANY_UNKNOWN)
        raise Refusal(replies.TOO_MANY_RECIPIENTS)

    async def _route(self, tx: Transaction, address: Address) -> tuple[TenantName, tuple[Recipient, ...]]:
        """Whose recipient is this, where does it lead, and may this client send to it here?"""
        found = await self._resolve(address)
        is_order = bool(self.client.account) and found.tenant == tx.tenant and is_release_local(address.local)
        if tx.recipients and (is_order or tx.release_local):
            raise Refusal(replies.OTHER_TENANT)
        if is_order:
            tx.release_local = address.local
            return tx.tenant, (Recipient(str(address)),)
        is_submitted = tx.direction is Direction.OUTBOUND
        _check_form(address, is_submitted and found.kind == "foreign")
        match found.kind:
            case "mailbox" | "routed" | "bounce":
                if found.kind == "bounce" and tx.reverse_path:
                    raise Refusal(replies.FOR_BOUNCES_ONLY)
                is_foreign_tenant = tx.recipients and tx.recipients[0][0] != found.tenant
                if is_foreign_tenant and not is_submitted:
                    raise Refusal(replies.OTHER_TENANT)
                if found.kind == "routed":
                    await self._verify(tx, found.tenant, address)
                return found.tenant, _recipients(address, found)
            case "unknown" | "disabled" | "unavailable":
                raise Refusal(_NO_RECIPIENT[found.kind])
            case "full":
                for_good = self.edge.around.policy().for_tenant(found.tenant).mailboxes.over_quota == "reject"
                raise Refusal(replies.MAILBOX_FULL if for_good else replies.MAILBOX_FULL_FOR_NOW)
        if not is_submitted:
            raise Refusal(replies.RELAY_DENIED)
        return tx.tenant, (Recipient(str(address)),)

    async def _verify(self, tx: Transaction, tenant: TenantName, address: Address) -> None:
        """Refused unless the tenant's own server would take it: the recipient, and the message as far as it is known
        now."""
        route = self.edge.around.policy().for_tenant(tenant).inbound_route(address.domain)
        if route is None:
            raise Refusal(replies.DIRECTORY_AWAY)  # the store and we do not have the same policy at this moment
        if not route.verify:
            return
        standing = await self.edge.verifier.standing(route, address, replace(tx.share, tenant=tenant))
        if standing is not Standing.KNOWN:
            raise Refusal(_NOT_KNOWN_THERE[standing])
        takes = self.edge.verifier.takes(route)
        if takes is None:
            return
        if takes.size and tx.declared > takes.size:
            raise Refusal(replies.too_large_there(takes.size))
        if tx.requiretls and "requiretls" not in takes.keywords:
            raise Refusal(replies.NO_REQUIRETLS_THERE)
        if takes not in tx.taken_there:
            tx.taken_there.append(takes)

    def _transaction(self) -> Transaction:
        if self.tx is None:
            raise Refusal(replies.MAIL_FIRST if self.session.host_name else replies.HELO_FIRST)
        return self.tx

    async def smtp_DATA(self, argument: bytes) -> None:
        tx = self._transaction()
        if argument:
            raise Refusal(replies.NO_PARAMETERS)
        if self._chunks is not None:
            raise Refusal(replies.BDAT_UNDER_WAY)
        if not tx.recipients:
            raise Refusal(replies.RCPT_FIRST)
        await self.say(replies.SEND_DATA)
        tx.staging.begin(tx.share, tx.declared)
        receiver = DataReceiver(tx.staging.write, is_own=tx.direction is Direction.OUTBOUND)
        await self._receive(receiver)
        tx.is_bad, tx.has_long_lines = receiver.is_bad, receiver.has_long_lines
        await self._finish(tx)
        if receiver.is_bad:
            # other servers may see another end in such a message: what follows can't be told from a part of it
            raise SessionEnd

    async def smtp_BDAT(self, argument: bytes) -> None:
        """RFC 3030 section 2: `BDAT size [LAST]`. A chunk that can't be kept is swallowed, then refused."""
        if self.ends_lines_in_lf:
            raise SessionEnd(replies.NOT_IMPLEMENTED)
        size, is_last = _chunk(argument)
        if size > LARGEST_CHUNK:
            raise SessionEnd(replies.TOO_LARGE)
        tx = self.tx
        if tx is None or not tx.recipients:
            await self._receive(ChunkReceiver(size, lambda data: None, ByteCheck()))
            self._pace = None
            raise Refusal(replies.RCPT_FIRST)
        if self._chunks is None:
            self._chunks = ByteCheck(is_own=tx.direction is Direction.OUTBOUND)
            tx.staging.begin(tx.share, tx.declared)
        if size:
            await self._receive(ChunkReceiver(size, tx.staging.write, self._chunks))
        if not is_last:
            await self.say(replies.chunk_taken(size))
            return
        self._chunks.end()
        tx.is_bad, tx.has_long_lines = self._chunks.is_bad, self._chunks.has_long_lines
        await self._finish(tx)

    async def _finish(self, tx: Transaction) -> None:
        self._counts["idle"] = 0
        tx.staging.complete()
        await self._keep_login()
        if self._is_eof:
            tx.presence.leave()
        named = len(tx.recipients)
        try:
            answer = await (release if tx.release_local else message_end).finish(tx)
        finally:
            self._drop_transaction()
        if answer.code == 250 and tx.direction is Direction.INBOUND:
            self.edge.guesses.kept(self.client.address, named, self.limits.unknown_recipients_per_hour)
        await self.say(answer)
        if answer.code >= 400:
            self._turned_away(answer, of=tx)
        if self.edge.is_draining:
            raise SessionEnd(replies.SHUTTING_DOWN)


def _check_form(address: Address, is_for_others: bool) -> None:
    """What a quoted local part, `%` or `!` means is for the server of the domain to say, and for nobody between."""
    if is_for_others:
        return
    try:
        refuse_ambiguous(address)
    except AddressError as error:
        raise Refusal(replies.bad_recipient(str(error))) from None


def _recipients(address: Address, found: Resolved) -> tuple[Recipient, ...]:
    """The one that was given, unless it only leads elsewhere, and those elsewhere that it leads to."""
    path = str(address) if address is not POSTMASTER else "postmaster"
    given = (Recipient(path, found.mailboxes),) if found.mailboxes or not found.forwards else ()
    forwarder = found.via or f"{canonical_local(address.local)}@{address.domain}"
    return (*given, *(Recipient(forward, forwarder=forwarder) for forward in found.forwards))


def _chunk(argument: bytes) -> tuple[int, bool]:
    """A size that can't be read leaves the stream without a known end: the session is over."""
    words = argument.split(b" ")
    is_last = len(words) == 2 and words[1].upper() == b"LAST"
    if not (words[0].isdigit() and words[0].isascii() and len(words[0]) <= 12 and (len(words) == 1 or is_last)):
        raise SessionEnd(replies.SYNTAX)
    return int(words[0]), is_last


Session.commands = {name: getattr(Session, f"smtp_{name}") for name in COMMANDS}
