"""From a host's addresses to a session ready for mail: connect, EHLO, the ladder of TLS steps, AUTH."""

from __future__ import annotations

import datetime
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from mailgate.model.level import TransportLevel
from mailgate.model.reply import reply_of
from mailgate.relay.connecting import ConnectError, connect
from mailgate.relay.pipeline import GarbageError, LmtpClient, PipelinedClient
from mailgate.relay.smtp_session import Facts, SmtpSession, fault_of
from mailgate.relay.timeouts import Timeouts
from mailgate.relay.transfer import Fault, FaultKind
from mailgate.route.mx import is_socket
from mailgate.transport import certificate, dane
from mailgate.transport.context import agreed, client_context, failure_of
from mailgate.transport.floor import Floor
from mailgate.transport.ladder import Bounds, Failure, Offer, Step, first_step, next_step
from mailgate.transport.memory import HostMemory

_BUSY = re.compile(r"too many (?:\w+ )?(?:concurrent |simultaneous )?(?:smtp )?(?:connections|sessions)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One host as it is to be spoken to. `dane`: its usable TLSA records. `webpki`: in words, by what a certificate for
    `host` makes the connection AUTHENTICATED (MTA-STS …); empty where no such certificate is asked for. `source` is the
    address of ours to use, empty for any; `checks` go into the record of each attempt."""

    host: str
    addresses: tuple[str, ...]
    port: int
    floor: Floor
    dane: dane.Dane | None = None
    webpki: str = ""
    login: Login | None = None
    source: str = ""
    is_lmtp: bool = False
    checks: dict[str, Any] = field(default_factory=dict)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.floor.level, bool(self.webpki) and self.dane is None)

    @property
    def is_local(self) -> bool:
        """A socket of this machine: TLS would hide nothing from anybody."""
        return is_socket(self.host)

    @property
    def lacks_proof(self) -> bool:
        """Nothing could make the connection as private as it must be."""
        return self.floor.level is TransportLevel.AUTHENTICATED and self.dane is None and not self.webpki


class OpenError(Exception):
    """There is no session; `facts` tell what was tried, `error` is the last one of TLS, if it was that."""

    def __init__(self, fault: Fault, facts: Facts, failure: Failure | None = None) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.facts = facts
        self.failure = failure


class _StepFailed(Exception):
    """`client` is still connected and can go on in plaintext."""

    def __init__(self, failure: Failure, fault: Fault, client: PipelinedClient | None = None) -> None:
        super().__init__(fault.text)
        self.failure = failure
        self.fault = fault
        self.client = client


class Opener:
    """`hostname` is our own name, for EHLO; `clock` in seconds since 1970."""

    def __init__(self, hostname: str, memory: HostMemory, timeouts: Timeouts, clock: Callable[[], float]) -> None:
        self._hostname = hostname
        self._memory = memory
        self._timeouts = timeouts
        self._clock = clock

    async def open(self, target: Target, was_cut: bool = False) -> SmtpSession:
        """Steps down the ladder as far as the floor allows. OpenError where nothing is left, or where the host can't be
        spoken to for another reason. `was_cut`: it cut the best handshake a moment ago, and not for the first time."""
        began = time.monotonic()
        facts = Facts(target.host, target.addresses[0], target.port, values=self._first_facts(target))
        bounds = replace(target.bounds, bears_cuts=was_cut)
        lesson = self._memory.lesson(target.host, target.port)
        step = Step(Offer.PLAINTEXT) if target.is_local else first_step(bounds, lesson.offer if lesson else None)
        steps_down: list[str] = facts.values["steps_down"]
        if lesson is not None and step.offer is lesson.offer:
            steps_down.append(f"{lesson.reason} (learned before)")
            facts.lost_to = Failure.HANDSHAKE
        below = next_step(step, Failure.CUT, bounds) if was_cut else None
        if below is not None:
            steps_down.append(f"{step}: the host cuts the handshake")
            facts.lost_to = Failure.CUT
            step = below
        client: PipelinedClient | None = None
        while True:
            try:
                session = await self._try(target, step, facts, client)
            except _StepFailed as failed:
                following = next_step(step, failed.failure, bounds)
                facts.values["seconds"] = round(time.monotonic() - began, 3)
                if following is None:
                    if failed.client is not None:
                        failed.client.close()
                    raise OpenError(_final(failed, target), facts, failed.failure) from None
                steps_down.append(f"{step}: {failed.fault.text}")
                facts.lost_to = facts.lost_to or failed.failure
                step, client = following, failed.client
                if client is not None and following.offer is not Offer.PLAINTEXT:
                    client.close()
                    client = None
                continue
            if not target.is_local and not (step.offer is Offer.PLAINTEXT and not facts.values["starttls_offered"]):
                self._memory.learn(target.host, target.port, step.offer, "; ".join(steps_down))
            facts.values["seconds"] = round(time.monotonic() - began, 3)
            return session

    def _first_facts(self, target: Target) -> dict[str, Any]:
        floor = {"floor": target.floor.level.value, "floor_by": list(target.floor.sources)}
        return {"ehlo": self._hostname, **floor, **target.checks, "steps_down": []}

    async def _try(self, target: Target, step: Step, facts: Facts, client: PipelinedClient | None) -> SmtpSession:
        """One step: on a connection of its own, or on that of the step before."""
        dialogue = _Opening(self._timeouts)
        try:
            if client is None:
                client = await self._connect(dialogue, target, facts)
            if step.offer is not Offer.PLAINTEXT:
                await self._start_tls(dialogue, target, step, client, facts)
            else:
                facts.level = TransportLevel.PLAINTEXT
                facts.values["tls"] = ""
            if target.login is not None:
                dialogue.step = "AUTH"
                await client.login(target.login.username, target.login.password, timeout=self._timeouts.auth)
        except _StepFailed as failed:
            if failed.client is None and client is not None:
                client.close()
            raise
        except ConnectError as error:
            raise OpenError(error.fault, facts, None) from None
        except (SMTPException, OSError, TimeoutError) as error:
            if client is not None:
                client.close()
            raise OpenError(_opening_fault(error, dialogue.step), facts, None) from None
        except BaseException:
            if client is not None:
                client.close()
            raise
        facts.values["level"] = facts.level.value
        return SmtpSession(client, facts, self._timeouts, target.is_lmtp)

    async def _connect(self, dialogue: _Opening, target: Target, facts: Facts) -> PipelinedClient:
        sock, facts.address = await connect(target.addresses, target.port, target.source, self._timeouts)
        client_of = LmtpClient if target.is_lmtp else PipelinedClient
        client = client_of(
            hostname=target.host, port=None, local_hostname=self._hostname, start_tls=False, timeout=None, sock=sock
        )
        try:
            dialogue.step = "greeting"
            await client.connect(timeout=self._timeouts.greeting)
            dialogue.step = "EHLO"
            await self._hello(client)
        except BaseException:
            client.close()
            raise
        facts.values["starttls_offered"] = client.supports_extension("starttls")
        return client

    async def _hello(self, client: PipelinedClient) -> None:
        """EHLO, and HELO for hosts that do not know it (RFC 5321 section 3.2)."""
        try:
            await client.ehlo(timeout=self._timeouts.hello)
        except SMTPResponseException as error:
            if isinstance(error, GarbageError) or error.code < 500:
                raise
            await client.helo(timeout=self._timeouts.hello)

    async def _start_tls(
        self, dialogue: _Opening, target: Target, step: Step, client: PipelinedClient, facts: Facts
    ) -> None:
        dialogue.step = "STARTTLS"
        if not client.supports_extension("starttls"):
            fault = Fault(FaultKind.TLS, "STARTTLS", f"{target.host} does not offer STARTTLS")
            raise _StepFailed(Failure.NOT_OFFERED, fault, client)
        name = target.dane.base if target.dane is not None else target.host
        protocol = client.protocol  # a client that was cut off forgets it
        try:
            await client.starttls(server_hostname=name, tls_context=client_context(step), timeout=self._timeouts.tls)
        except SMTPResponseException as error:
            if isinstance(error, GarbageError) or error.code == 421:
                raise
            reply = reply_of(error.code, error.message)
            fault = Fault(FaultKind.TLS, "STARTTLS", f"{target.host} refuses STARTTLS: {reply}", reply)
            raise _StepFailed(Failure.REFUSED, fault, client) from None
        except ssl.SSLError as error:
            failure = failure_of(error)
            if failure is Failure.CONNECTION:
                raise _StepFailed(Failure.CUT, fault_of(error, "STARTTLS")) from None
            raise _StepFailed(failure, Fault(FaultKind.TLS, "STARTTLS", tls_words(error))) from None
        except (SMTPException, OSError, TimeoutError) as error:
            if protocol is None or not protocol.is_in_handshake:
                raise
            raise _StepFailed(Failure.CUT, fault_of(error, "STARTTLS")) from None
        self._judge(target, step, client, facts)
        dialogue.step = "EHLO"
        try:
            await self._hello(client)
        except (SMTPServerDisconnected, ConnectionError, ssl.SSLError) as error:
            # in TLS 1.3 we are done before the host is: only now it says that it does not want us (RFC 8446 section 2)
            client.close()
            raise _StepFailed(Failure.CUT, fault_of(error, "EHLO")) from None

    def _judge(self, target: Target, step: Step, client: PipelinedClient, facts: Facts) -> None:
        """What the handshake is worth; _StepFailed where it is less than the floor."""
        tls = client.get_transport_info("ssl_object")
        result = agreed(tls)
        facts.level = result.level
        facts.values |= {
            "tls": result.version,
            "cipher": result.cipher,
            "key_exchange": result.key_exchange,
            "forward_secret": result.is_forward_secret,
        }
        chain = certificate.chain_of(tls)
        if chain:
            facts.values["certificate"] = certificate.summary(chain[0])
        verification = self._verify(target, step, chain)
        facts.values["verification"] = verification.words
        if verification.holds and result.level is TransportLevel.FORWARD_SECRET:
            facts.level = TransportLevel.AUTHENTICATED
        if facts.level < target.floor.level:
            kind = Failure.HANDSHAKE if verification.holds else Failure.CERTIFICATE
            words = f"{target.host} agreed on {result.version} {result.cipher}; {verification.words}"
            raise _StepFailed(kind, Fault(FaultKind.TLS, "STARTTLS", words))

    def _verify(self, target: Target, step: Step, chain: tuple[bytes, ...]) -> _Verification:
        if target.dane is not None:
            now = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
            found = dane.match(target.dane, chain, now)
            return _Verification(found.record is not None, f"DANE: {found.words}")
        if step.verifies:
            return _Verification(True, f"WebPKI for {target.host} ({target.webpki})")
        return _Verification(False, "certificate not checked" if not target.webpki else "certificate not valid")


@dataclass(frozen=True, slots=True)
class _Verification:
    holds: bool
    words: str


class _Opening:
    """Where the dialogue stands, for the text of a fault."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.step = "connect"


def tls_words(error: ssl.SSLError) -> str:
    """`certificate: …` or `handshake: …` in OpenSSL's words, without its line numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    reason = (error.reason or str(error)).replace("_", " ").lower()
    return f"TLS handshake failed: {reason}"


def _final(failed: _StepFailed, target: Target) -> Fault:
    """The floor forbids the next step: say so."""
    fault = failed.fault
    if failed.failure in (Failure.CONNECTION, Failure.CUT) or target.floor.level is TransportLevel.PLAINTEXT:
        return fault
    return Fault(FaultKind.POLICY, fault.step, f"{fault.text}; {target.floor.words} is a must", fault.reply)


def _opening_fault(error: BaseException, step: str) -> Fault:
    if isinstance(error, SMTPAuthenticationError):
        reply = reply_of(error.code, error.message)
        return Fault(FaultKind.AUTH, step, f"our login is refused: {reply}", reply)
    if isinstance(error, SMTPConnectResponseError | SMTPResponseException) and not isinstance(error, GarbageError):
        reply = reply_of(error.code, error.message)
        kind = FaultKind.BUSY if error.code < 500 and _BUSY.search(error.message) else FaultKind.GREETING
        return Fault(kind, step, f"{step}: {reply}", reply)
    if step == "AUTH" and isinstance(error, SMTPException) and not isinstance(error, OSError):
        return Fault(FaultKind.AUTH, step, f"login is not possible: {error}")
    return fault_of(error, step)
