"""Lookups over one resolver: UDP, then TCP; EDNS with DO; answers kept for their TTL, CACHE_BYTES of them."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

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
from mailgate.route import exchange
from mailgate.route.answer import FormatError, Response
from mailgate.settings import Listen

T = TypeVar("T")

TRIES = 2
TRY_SECONDS = 4.0
PAYLOAD = 1232  # bytes of a UDP answer that no path fragments (DNS flag day 2020)
LONGEST_TTL = 3600.0
FAILURE_SECONDS = 5.0
CACHE_BYTES = 16 << 20  # in each edge and relay process

_Key = tuple[str, RdataType]


@dataclass(frozen=True, slots=True)
class _Kept:
    until: float
    answer: Answer[Any]
    size: int


class _Known:
    """Answers by question, `limit` bytes of them; what has been here longest goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_key: dict[_Key, _Kept] = {}
        self.size = 0

    def get(self, key: _Key) -> _Kept | None:
        return self._by_key.get(key)

    def put(self, key: _Key, until: float, answer: Answer[Any]) -> None:
        if (before := self._by_key.pop(key, None)) is not None:
            self.size -= before.size
        kept = _Kept(until, answer, _size(key, answer))
        self._by_key[key] = kept
        self.size += kept.size
        while self.size > self._limit:
            self.size -= self._by_key.pop(next(iter(self._by_key))).size


def _size(key: _Key, answer: Answer[Any]) -> int:
    """Bytes of memory, about: the objects around an answer weigh more than most answers."""
    texts = (key[0], answer.name, answer.reason)
    return 800 + sum(map(sys.getsizeof, texts)) + sum(map(_record_size, answer.records))


def _record_size(record: object) -> int:
    if isinstance(record, Mx):
        return 120 + sys.getsizeof(record.host)
    return 200 + len(record.data) if isinstance(record, Tlsa) else 16 + sys.getsizeof(record)


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
        self._known = _Known(CACHE_BYTES)
        self._asking: dict[_Key, asyncio.Future[Answer[Any]]] = {}

    async def mx(self, name: str) -> Answer[Mx]:
        return await self._ask(name, RdataType.MX)

    async def a(self, name: str) -> Answer[str]:
        return await self._ask(name, RdataType.A)

    async def aaaa(self, name: str) -> Answer[str]:
        return await self._ask(name, RdataType.AAAA)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return await self._ask(name, RdataType.TLSA)

    async def txt(self, name: str) -> Answer[str]:
        """A text longer than LONGEST_TEXT is cut behind the byte after it."""
        return await self._ask(name, RdataType.TXT)

    async def ptr(self, name: str) -> Answer[str]:
        return await self._ask(name, RdataType.PTR)

    async def _ask(self, name: str, kind: RdataType) -> Answer[Any]:
        """From the cache, or by one query for all who ask at the same time."""
        key = (name.lower().rstrip("."), kind)
        known = self._known.get(key)
        if known is not None and known.until > self._clock():
            return known.answer
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._find(key))
            asking.add_done_callback(lambda done: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _find(self, key: _Key) -> Answer[Any]:
        answer, ttl = await self._query(*key)
        self._known.put(key, self._clock() + min(ttl, LONGEST_TTL), answer)
        return answer

    async def _query(self, name: str, kind: RdataType) -> tuple[Answer[Any], float]:
        """And for how many seconds it holds."""
        try:
            owner = dns.name.from_text(name)
        except dns.exception.DNSException:
            return _failed(Status.NXDOMAIN, f"{name!r} is not a domain name")
        question = dns.message.make_query(owner, kind, use_edns=0, payload=PAYLOAD, want_dnssec=True)
        question.flags |= dns.flags.AD
        try:
            response = await self._exchange(question)
            if response.code == dns.rcode.SERVFAIL and await self._is_there_unchecked(question):
                return _failed(Status.BOGUS, "DNSSEC validation failed")
            return _read(response, owner, kind, self.believes_ad)
        except TimeoutError:
            return _failed(Status.FAILED, f"no answer from the resolver {self._host} within {TRIES} tries")
        except (FormatError, OSError, EOFError) as error:
            return _failed(Status.FAILED, f"{type(error).__name__}: {error}")

    async def _exchange(self, question: QueryMessage) -> Response:
        for number in range(1, TRIES + 1):
            try:
                return await exchange.ask(question, self._host, self._port, self._seconds)
            except TimeoutError:
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
        return response.code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def _read(response: Response, owner: dns.name.Name, kind: RdataType, believes: bool) -> tuple[Answer[Any], float]:
    """What one response says; FormatError for a broken chain of CNAMEs."""
    is_secure = believes and response.is_authentic
    if response.code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return _failed(Status.FAILED, dns.rcode.to_text(dns.rcode.Rcode.make(response.code)))
    name, records, ttl = response.follow(exchange.name_text(owner), int(kind))
    if not records:
        status = Status.NXDOMAIN if response.code == dns.rcode.NXDOMAIN else Status.NO_DATA
        # without an SOA nobody says for how long there is nothing (RFC 2308 section 5)
        return Answer(status, (), is_secure, name), FAILURE_SECONDS if ttl is None else ttl
    if response.code == dns.rcode.NXDOMAIN:
        raise FormatError("records of a name that does not exist")
    return Answer(Status.FOUND, records, is_secure, name), FAILURE_SECONDS if ttl is None else ttl


def _failed(status: Status, reason: str) -> tuple[Answer[Any], float]:
    return Answer(status, reason=reason), FAILURE_SECONDS
