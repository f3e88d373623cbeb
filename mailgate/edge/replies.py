"""Every reply the edge gives: code, enhanced code (RFC 3463, RFC 5248) and text, in one place."""

from __future__ import annotations

from mailgate.model.reply import Reply

# The session
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections, try again later")
MADE_ROOM = Reply(421, "4.7.0", "Idle while others wait for a connection, closing")
SHUTTING_DOWN = Reply(421, "4.3.2", "Shutting down, try again later")
IDLE = Reply(421, "4.4.2", "Idle for too long, closing")
TOO_SLOW = Reply(421, "4.4.2", "Data arrives too slowly, closing")
SESSION_TOO_LONG = Reply(421, "4.4.2", "Session lasts too long, closing")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing")
TOO_MANY_UNKNOWN = Reply(421, "4.7.0", "Too many unknown recipients, closing")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands without a message, closing")
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Enough messages for one connection, closing")
NOT_SMTP = Reply(421, "4.7.0", "This is an SMTP server, closing")
BYE = Reply(221, "2.0.0", "Bye")
OK = Reply(250, "2.0.0", "OK")
LOCAL_ERROR = Reply(451, "4.3.0", "Local error, try again later")

# Commands
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not known")
BAD_LINE = Reply(500, "5.5.2", "Lines end in CR LF and hold no bare CR, bare LF or NUL")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
SYNTAX = Reply(501, "5.5.4", "Syntax error in parameters")
NO_PARAMETERS = Reply(501, "5.5.4", "No parameters allowed")
BAD_HELO = Reply(501, "5.5.4", "Give a host name or an address literal")
BAD_SEQUENCE = Reply(503, "5.5.1", "Bad sequence of commands")
HELO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "No valid recipients")
NESTED_MAIL = Reply(503, "5.5.1", "A mail transaction is under way already")
BDAT_UNDER_WAY = Reply(503, "5.5.1", "A message is being sent by BDAT; end it or send RSET")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not offered")
CANNOT_VERIFY = Reply(252, "2.5.0", "Cannot verify; send the mail and see")
HELP = Reply(214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS AUTH")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
SEND_DATA = Reply(354, "", "End data with <CR><LF>.<CR><LF>")

# TLS and AUTH
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
TLS_UNAVAILABLE = Reply(454, "4.7.0", "TLS is not available")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is active already")
TLS_REQUIRED = Reply(530, "5.7.0", "Issue STARTTLS first")
AUTH_REQUIRED = Reply(530, "5.7.0", "Authentication required")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Encryption required for authentication")
AUTH_ALREADY = Reply(503, "5.5.1", "Authenticated already")
AUTH_OK = Reply(235, "2.7.0", "Authentication succeeded")
AUTH_FAILED = Reply(535, "5.7.8", "Authentication credentials invalid")
AUTH_CANCELLED = Reply(501, "5.0.0", "Authentication cancelled")
AUTH_BAD_ENCODING = Reply(501, "5.5.2", "Cannot decode the response")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "Authentication exchange line too long")
AUTH_MECHANISM = Reply(504, "5.5.4", "Mechanism not offered")
AUTH_UNAVAILABLE = Reply(454, "4.7.0", "Authentication is not available now, try again later")
LOGIN_ENDED = Reply(421, "4.7.0", "Your login has ended, closing")
AUTH_TOO_MANY = Reply(421, "4.7.0", "Too many failed logins, closing")

# Envelope
BAD_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised or not offered")
DUPLICATE_PARAMETER = Reply(501, "5.5.4", "Parameter given twice")
UTF8_NOT_ASKED = Reply(553, "5.6.7", "Non-ASCII addresses need SMTPUTF8")
TOO_LARGE = Reply(552, "5.3.4", "Message too large")
NO_ROOM = Reply(452, "4.3.1", "No room for this message now, try again later")
NOT_YOUR_ADDRESS = Reply(553, "5.7.1", "Not an address that this account may send as")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send the rest in another transaction")
OTHER_TENANT = Reply(452, "4.5.3", "Send this recipient in a transaction of its own")
NOTHING_TO_RELEASE = Reply(550, "5.1.1", "This address releases nothing of yours, or not any more")
RELEASED = Reply(250, "2.0.0", "OK, the message is released and will be delivered")
HANDED_OVER = Reply(250, "2.0.0", "OK, your administrators are asked to release the message")
TOO_MANY_UNKNOWN_LATELY = Reply(450, "4.7.1", "Too many unknown recipients from your network, try again later")
UNKNOWN_RECIPIENT = Reply(550, "5.1.1", "No such recipient here")
FOR_BOUNCES_ONLY = Reply(550, "5.7.1", "This address takes only bounces of mail that was forwarded")
RECIPIENT_DISABLED = Reply(550, "5.2.1", "Mailbox is disabled")
MAILBOX_FULL_FOR_NOW = Reply(452, "4.2.2", "Mailbox is full, try again later")
MAILBOX_FULL = Reply(552, "5.2.2", "Mailbox is full")
SERVER_AWAY = Reply(451, "4.4.1", "The recipient's own server does not answer now, try again later")
SERVER_SAYS_LATER = Reply(
    451, "4.4.1", "The recipient's own server takes no mail for this recipient now, try again later"
)
SERVER_REFUSES_US = Reply(
    451, "4.4.1", "The recipient's own server does not take mail from this gateway, try again later"
)
NO_REQUIRETLS_THERE = Reply(550, "5.7.30", "The recipient's own server does not support REQUIRETLS")
NO_UTF8_THERE = Reply(554, "5.6.7", "The recipient's own server takes no internationalised mail (SMTPUTF8)")
RELAY_DENIED = Reply(550, "5.7.1", "Relaying denied")
DIRECTORY_AWAY = Reply(451, "4.3.0", "Recipient can't be looked up now, try again later")

# The message
BAD_BYTES = Reply(554, "5.6.0", "Message holds a bare CR, bare LF or NUL")
HEADER_TOO_LARGE = Reply(552, "5.3.4", "Message header too large")
LOOP = Reply(554, "5.4.6", "Mail loop: too many Received fields")
FORWARDED_ALREADY = Reply(554, "5.4.6", "Mail loop: this address has forwarded the message before")
TRY_AGAIN = Reply(451, "4.3.0", "Message can't be taken now, try again later")
BUSY = Reply(451, "4.3.2", "Too busy, try again later")
TOO_LATE = Reply(451, "4.4.2", "Took too long, try again later")


def too_large_there(most: int) -> Reply:
    """`most`: bytes that the recipient's own server takes."""
    return Reply(552, "5.3.4", f"Message too large: the recipient's own server takes {most} bytes")


def no_8bit_there(why: str) -> Reply:
    """RFC 6152 section 3. `why` is a sentence about the message."""
    text = f"The recipient's own server takes no 8-bit mail (8BITMIME), and this message can't be converted: {why}"
    return Reply(554, "5.6.3", _plain(text))


def line_too_long(number: int, why: str) -> Reply:
    """RFC 5322 section 2.1.1. `number` is the line's, from 1 at the top of the message; `why` as in `no_8bit_there`."""
    text = f"Line {number} of the message has more than 998 characters and can't be encoded: {why}."
    return Reply(554, "5.6.0", _plain(f"{text} Break the line, or attach the text as a file"))


def kept(queue_id: str) -> Reply:
    return Reply(250, "2.0.0", f"OK, kept as {queue_id}")


def refused(reason: str, code: int = 554) -> Reply:
    """`reason` comes from policy or scanner: printable ASCII only, and short enough for one line."""
    return Reply(code, "5.7.1", _plain(reason) or "Refused by policy")


def deferred(reason: str) -> Reply:
    """`reason` as in `refused`."""
    return Reply(451, "4.7.1", _plain(reason))


def _plain(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:400]


def not_yours(address: str, field: str) -> Reply:
    return Reply(550, "5.7.1", _plain(f"This account may not send as {address}, which the {field} field names"))


def bad_author(why: str) -> Reply:
    return Reply(550, "5.7.1", _plain(f"The message does not say clearly whom it is from: {why}"))


def bad_sender(why: str) -> Reply:
    return Reply(501, "5.1.7", f"Bad sender address: {why}")


def bad_recipient(why: str) -> Reply:
    return Reply(501, "5.1.3", f"Bad recipient address: {why}")


def bad_certificate(name: str, why: str) -> Reply:
    return Reply(554, "5.7.8", _plain(f'The client certificate "{name}" {why}'))


def chunk_taken(octets: int) -> Reply:
    return Reply(250, "2.0.0", f"{octets} octets received")
