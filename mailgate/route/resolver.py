"""Lookups by dnspython over one resolver: UDP, then TCP; EDNS with DO; answers kept for their TTL."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.ttl
from dns.message import QueryMessage
from dns.rdatatype import RdataType

from mailgate.model.dns import Answer, Mx, Status, Tlsa
from mailgate.settings import Listen

T = TypeVar("T")

TRIES = 2
TRY_SECONDS = 4.0
PAYLOAD = 1232  # bytes of a UDP answer that no path fragments (DNS flag day 2020)
LONGEST_TTL = 3600.0
FAILURE_SECONDS = 5.0
CACHE_SIZE = 50_000


@dataclass(frozen=True, slots=True)
class _Raw:
    """An answer before its records get a type, and for how many seconds it holds."""

    status: Status
    records: tuple[dns.rdata.Rdata, ...] = ()
    is_secure: bool = False
    name: str = ""
    reason: str = ""
    ttl: float = FAILURE_SECONDS


class DnsResolver:
    """`endpoint` is the resolver's `host:port`. Its AD bit is believed where it runs on loopback, or where
    `is_trusted` says so. `clock` in seconds."""

    def __init__(
        self, endpoint: str, is_trusted: bool, clock: Callable[[], float], seconds: float = TRY_SECONDS
    ) -> None:
        listen = Listen.parse(endpoint)
        self._host, self._port = listen.host, listen.port
        self.believes_ad = is_trusted or ipaddress.ip_address(listen.host).is_loopback
        self._clock = clock
        self._seconds = seconds
        self._known: dict[tuple[str, RdataType], tuple[float, Answer[Any]]] = {}
        self._asking: dict[tuple[str, RdataType], asyncio.Future[Answer[Any]]] = {}

    async def mx(self, name: str) -> Answer[Mx]:
        return await self._ask(name, RdataType.MX, lambda data: Mx(data.preference, _text(data.exchange)))

    async def a(self, name: str) -> Answer[str]:
        return await self._ask(name, RdataType.A, lambda data: str(data.address))

    async def aaaa(self, name: str) -> Answer[str]:
        return await self._ask(name, RdataType.AAAA, lambda data: str(data.address))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return await self._ask(
            name, RdataType.TLSA, lambda data: Tlsa(data.usage, data.selector, data.mtype, bytes(data.cert))
        )

    async def txt(self, name: str) -> Answer[str]:
        return await self._ask(name, RdataType.TXT, lambda data: b"".join(data.strings).decode("utf-8", "replace"))

    async def ptr(self, name: str) -> Answer[str]:
        return await self._ask(name, RdataType.PTR, lambda data: _text(data.target))

    async def _ask(self, name: str, kind: RdataType, convert: Callable[[Any], T]) -> Answer[T]:
        """From the cache, or by one query for all who ask at the same time."""
        key = (name.lower().rstrip("."), kind)
        known = self._known.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._find(key, convert))
            asking.add_done_callback(lambda done: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _find(self, key: tuple[str, RdataType], convert: Callable[[Any], T]) -> Answer[T]:
        raw = await self._query(*key)
        answer = Answer(raw.status, tuple(map(convert, raw.records)), raw.is_secure, raw.name, raw.reason)
        if len(self._known) >= CACHE_SIZE:
            self._known.clear()
        self._known[key] = (self._clock() + min(raw.ttl, LONGEST_TTL), answer)
        return answer

    async def _query(self, name: str, kind: RdataType) -> _Raw:
        try:
            owner = dns.name.from_text(name)
        except dns.exception.DNSException:
            return _Raw(Status.NXDOMAIN, reason=f"{name!r} is not a domain name")
        question = dns.message.make_query(owner, kind, use_edns=0, payload=PAYLOAD, want_dnssec=True)
        question.flags |= dns.flags.AD
        try:
            response = await self._exchange(question)
            if response.rcode() == dns.rcode.SERVFAIL and await self._is_there_unchecked(question):
                return _Raw(Status.BOGUS, reason="DNSSEC validation failed")
            return _read(response, kind, self.believes_ad)
        except dns.exception.Timeout:
            return _Raw(Status.FAILED, reason=f"no answer from the resolver {self._host} within {TRIES} tries")
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return _Raw(Status.FAILED, reason=f"{type(error).__name__}: {error}")

    async def _exchange(self, question: QueryMessage) -> dns.message.Message:
        for number in range(1, TRIES + 1):
            try:
                response, _ = await dns.asyncquery.udp_with_fallback(
                    question, self._host, timeout=self._seconds, port=self._port, ignore_errors=True
                )
                return response
            except dns.exception.Timeout:
                if number == TRIES:
                    raise
        raise AssertionError("unreachable")

    async def _is_there_unchecked(self, question: QueryMessage) -> bool:
        """With CD the resolver does not validate: what it answers only now is there, but bogus."""
        unchecked = dns.message.make_query(
            question.question[0].name, question.question[0].rdtype, use_edns=0, payload=PAYLOAD
        )
        unchecked.flags |= dns.flags.CD
        response = await self._exchange(unchecked)
        return response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def _read(response: dns.message.Message, kind: RdataType, believes: bool) -> _Raw:
    """What one response says; DNSException for a broken chain of CNAMEs."""
    is_secure = believes and bool(response.flags & dns.flags.AD)
    code = response.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return _Raw(Status.FAILED, reason=dns.rcode.to_text(code))
    assert isinstance(response, QueryMessage)
    chain = response.resolve_chaining()
    ttl = float(chain.minimum_ttl)
    owner = _text(chain.canonical_name)
    if chain.answer is None:
        status = Status.NXDOMAIN if code == dns.rcode.NXDOMAIN else Status.NO_DATA
        # without an SOA nobody says for how long there is nothing (RFC 2308 section 5)
        return _Raw(status, is_secure=is_secure, name=owner, ttl=ttl if ttl < dns.ttl.MAX_TTL else FAILURE_SECONDS)
    records = tuple(data for data in chain.answer if data.rdtype == kind)
    return _Raw(Status.FOUND, records, is_secure, owner, ttl=ttl)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).rstrip(".").lower()
