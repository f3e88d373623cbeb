"""What stands between a message and a next hop before a single byte of it is sent. Pure but for reading the bytes."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailgate.model.outcome import Outcome, State
from mailgate.relay.mail import Mail
from mailgate.relay.transfer import Fault, FaultKind

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>]")
_QUOTED = re.compile(r'^"(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\U0010ffff]|\\[\x20-\x7e])*"@')


def of_message(mail: Mail) -> Outcome | None:
    """What no next hop could cure. A blank or bracket outside of a quoted local part would end a path early."""
    for path in mail.paths:
        if _FORBIDDEN.search(path) and _FORBIDDEN.search(_QUOTED.sub("@", path)):
            return Outcome(State.BOUNCED, f"{path!r} can't be written as an SMTP path", 0, "5.1.3")
    if mail.traits.is_broken:
        return Outcome(
            State.BOUNCED, "the message holds a bare CR, a bare LF or a NUL and must not be sent on", 0, "5.6.0"
        )
    return None


def of_signature(mail: Mail) -> Outcome | None:
    """What must be signed waits for its keys."""
    if not mail.envelope.must_be_signed or mail.prefix:
        return None
    text = "it may only leave with a DKIM signature, and the DNS shows no key of its sender's domain"
    return Outcome(State.QUEUED, text, 0, "4.7.20")


def of_host(mail: Mail, host: str, offers: Callable[[str], bool], size_limit: int) -> Outcome | None:
    """What this host can't take (RFC 1870, RFC 6531 section 3.4, RFC 8689 section 4.2.1)."""
    if mail.must_require_tls and not offers("requiretls"):
        return Outcome(State.BOUNCED, f"{host} does not support REQUIRETLS, which the sender asked for", 0, "5.7.30")
    if size_limit and mail.size > size_limit:
        text = f"the message ({mail.size} bytes) is larger than {host} takes ({size_limit} bytes)"
        return Outcome(State.BOUNCED, text, 0, "5.3.4")
    if not offers("smtputf8") and _needs_utf8(mail):
        return Outcome(State.BOUNCED, f"{host} takes no internationalised mail (SMTPUTF8)", 0, "5.6.7")
    return None


def of_conversion(host: str, why: str) -> Outcome:
    """RFC 6152 section 3: what can't be made 7-bit is returned."""
    text = f"{host} takes no 8-bit mail (8BITMIME), and the message can't be converted: {why}"
    return Outcome(State.BOUNCED, text, 0, "5.6.3")


def of_privacy(mail: Mail, fault: Fault, host: str) -> Outcome | None:
    """REQUIRETLS does not wait for a connection to become private enough (RFC 8689 section 4.2.1)."""
    if not mail.must_require_tls or fault.kind is not FaultKind.POLICY:
        return None
    return Outcome(State.BOUNCED, f"{host}: {fault.text}", 0, "5.7.10")


def _needs_utf8(mail: Mail) -> bool:
    """SMTPUTF8 that was asked for without need is no obstacle."""
    if not all(path.isascii() for path in mail.paths):
        return True
    return mail.envelope.smtputf8 and mail.traits.has_utf8_headers
