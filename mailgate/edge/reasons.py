"""What a reply means, said to an administrator who asks why a client got it; what its text says is not said again."""

from __future__ import annotations

from collections.abc import Mapping

from mailgate.edge import replies
from mailgate.model.reply import Reply

REASONS: Mapping[Reply, str] = {
    replies.UNKNOWN_RECIPIENT: "no mailbox, alias or list has this address, or the server that its domain is routed to "
    "does not know it",
    replies.RECIPIENT_DISABLED: "its mailbox or its tenant is switched off",
    replies.RELAY_DENIED: "the recipient's domain is not hosted here, and the client has not logged in and is no "
    "server of a tenant ([sending])",
    replies.FOR_BOUNCES_ONLY: "bounces have a null reverse-path",
    replies.MAILBOX_FULL: "the mailbox is over its quota, and the policy refuses (mailboxes.over_quota)",
    replies.MAILBOX_FULL_FOR_NOW: "the mailbox is over its quota",
    replies.SERVER_AWAY: "the server that the domain is routed to ([[inbound]]) could not be asked for the recipient",
    replies.DIRECTORY_AWAY: "the tenant's database can't be read, or the store is away: see the log",
    replies.TOO_MANY_UNKNOWN: "limits.unknown_recipients: more recipients were refused than taken",
    replies.TOO_MANY_UNKNOWN_LATELY: "limits.unknown_recipients_per_hour: from its address or network too many "
    "recipients were refused lately",
    replies.TOO_MANY_RECIPIENTS: "limits.recipients, or nothing more is taken after too many unknown recipients; "
    "servers send the rest in another transaction",
    replies.OTHER_TENANT: "recipients of several tenants in one transaction; servers send the rest in another one",
    replies.NOT_YOUR_ADDRESS: "the account that has logged in may not send as this address",
    replies.TOO_LARGE: "larger than limits.message_size, by what the client declares or by what came",
    replies.NO_ROOM: "the disk, or the place for messages that arrive, is full: see the log and `mailgate doctor`",
    replies.TOO_MANY_CONNECTIONS: "a limit of connections is reached; the log says which (`limited`)",
    replies.MADE_ROOM: "all connections were taken, and this one kept us waiting",
    replies.TOO_MANY_ERRORS: "limits of the dialogue: too many commands were refused on this connection",
    replies.TOO_MANY_COMMANDS: "limits.commands: too many commands without a message",
    replies.TOO_MANY_MESSAGES: "limits.messages_per_connection: the client goes on with another connection",
    replies.TOO_SLOW: "limits.data_rate: the message came too slowly",
    replies.IDLE: "limits.idle_seconds: nothing came for too long",
    replies.SESSION_TOO_LONG: "limits.session_seconds",
    replies.NOT_SMTP: "the client speaks HTTP",
    replies.BAD_HELO: "the name after EHLO or HELO is empty, too long or a broken address",
    replies.BAD_LINE: "a command did not end in CR LF, or holds NUL",
    replies.RCPT_FIRST: "every recipient was refused before",
    replies.AUTH_REQUIRED: "a mail program that has not logged in, or a server that should use port 25",
    replies.TLS_REQUIRED: "a mail program without TLS, or a server that should use port 25",
    replies.AUTH_FAILED: "login or password is wrong, or the account is closed for now: see `mailgate user logins`",
    replies.AUTH_TOO_MANY: "limits.auth_failures: too many failed logins on this connection",
    replies.AUTH_UNAVAILABLE: "the store is away: see the log",
    replies.LOGIN_ENDED: "the password was changed or the user switched off since",
    replies.LOCAL_ERROR: "an error of the gateway: see the log",
}


def reason_of(reply: Reply) -> str:
    """Empty where the reply says it itself."""
    return REASONS.get(reply, "")
