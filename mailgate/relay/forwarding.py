"""What mail needs that an address here forwards to somebody elsewhere: a reverse-path of ours, so that SPF holds there;
an ARC set, so that the next hop can know what we found (RFC 8617); and a mark by which a loop is known.

Nothing that the sender signed is touched. What a user of the tenant sends keeps its reverse-path, which is the tenant's
own, and has our DKIM signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailgate.ipc.calls import GetReturnPath, ReturnPath
from mailgate.ipc.line import StoreLine
from mailgate.model.envelope import Direction
from mailgate.model.errors import UnavailableError
from mailgate.records import log
from mailgate.relay.mail import Mail
from mailgate.relay.signing import Signer, body_hash
from mailgate.senderauth import arc_seal, header, results
from mailgate.senderauth.arc_seal import Sealer
from mailgate.senderauth.arc_set import SEAL, ArcError
from mailgate.senderauth.body import RELAXED
from mailgate.senderauth.dkim_key import RSA
from mailgate.senderauth.header import Header, relax
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.results import ResultsError

_SEALED = (Outcome.NONE, Outcome.PASS, Outcome.FAIL)

_logger = log.get(__name__)


class Forwarding:
    """`hostname` is what our Authentication-Results are written by; `clock` in seconds since 1970."""

    def __init__(self, store: StoreLine, signer: Signer, hostname: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._signer = signer
        self._hostname = hostname
        self._clock = clock

    async def prepare(self, mail: Mail) -> Mail:
        """Unchanged where nobody here forwards it. UnavailableError without the store, OSError where the mail can't be
        read."""
        forwarder = mail.recipients[0].forwarder
        if not forwarder:
            return mail
        facts = {"forwarded_by": forwarder}
        if mail.envelope.direction is Direction.INBOUND:
            path = await self._return_path(mail, forwarder)
            mail = replace(mail, envelope=replace(mail.envelope, reverse_path=path))
            seal = await self._seal(mail, forwarder.rpartition("@")[2])
            facts |= {"reverse_path": path, "sealed": "yes" if seal else "no"}
            mail = mail.signed(seal)
        return replace(mail.signed(f"Delivered-To: {forwarder}\r\n".encode()), facts={**mail.facts, **facts})

    async def _return_path(self, mail: Mail, forwarder: str) -> str:
        """Of a bounce none, so that it never makes another."""
        envelope = mail.envelope
        if not envelope.reverse_path:
            return ""
        answer = await self._store.call(GetReturnPath(envelope.tenant, forwarder, envelope.reverse_path))
        if not isinstance(answer, ReturnPath):
            raise UnavailableError("the store gave an unexpected answer about a reverse-path")
        return answer.path

    async def _seal(self, mail: Mail, domain: str) -> bytes:
        """The ARC set; nothing where the DNS shows no RSA key of the domain, or nobody checked the sender."""
        found = header.read(mail.head)
        told = our_results(found, self._hostname)
        state = chain_state(found, told)
        keys = [each for each in await self._signer.identities(mail.envelope.tenant, domain) if each.key.kind == RSA]
        if state is None or not keys:
            return b""
        sealer = Sealer(self._hostname, domain, keys[0].selector, keys[0].key)
        digests = {RELAXED: await body_hash(mail, found.size)}
        try:
            return b"".join(arc_seal.seal(found, digests, sealer, told, state, int(self._clock())))
        except ArcError as error:
            _logger.info("forwarded without a seal", queue_id=mail.envelope.queue_id, reason=str(error))
            return b""


def our_results(found: Header, hostname: str) -> str:
    """What our Authentication-Results says behind our name. It is the topmost, and no other bears our name: what came
    with such a one has lost it."""
    for field in found.named(b"authentication-results"):
        name, _, body = relax(field.value).decode("utf-8", "replace").partition(";")
        if name.strip().lower() == hostname.lower():
            return body.strip()
    return "none"


def chain_state(found: Header, told: str) -> Outcome | None:
    """What was found of the ARC chain when the mail came; None where nobody looked, or the DNS did not answer: then
    nothing true can be sealed."""
    try:
        methods = results.parse(f"x; {told}").results
    except ResultsError:
        return None
    if not methods:
        return None
    state = next((each.result for each in methods if each.method == "arc"), "")
    if not state:
        return None if found.named(SEAL) else Outcome.NONE
    return Outcome(state) if state in _SEALED else None
