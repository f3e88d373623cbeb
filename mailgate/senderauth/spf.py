"""SPF (RFC 7208): may this client send mail in the name of this domain? Own and asynchronous, all limits kept."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
from dataclasses import dataclass, replace

from mailgate.model.address import LOCAL_LIMIT
from mailgate.senderauth import spf_macro, spf_record
from mailgate.senderauth.dns import LookupFailed, Resolver, is_name, records
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.spf_macro import Ip, MacroError, Values
from mailgate.senderauth.spf_record import Mechanism, Record, RecordError

MOST_LOOKUPS = 10
MOST_VOID_LOOKUPS = 2
MOST_NAMES = 10  # MX hosts of a mechanism, PTR names that are looked at
LONGEST_EXPLANATION = 512  # characters before its macros are expanded; replies to clients hold less
SECONDS = 20.0

_BY_QUALIFIER = {"+": Outcome.PASS, "-": Outcome.FAIL, "~": Outcome.SOFTFAIL, "?": Outcome.NEUTRAL}


class PermError(Exception):
    """The record can't be evaluated; the text says why."""


@dataclass(frozen=True, slots=True)
class SpfResult:
    """`domain` is whose policy was asked; `mechanism` what matched; `explanation` the domain's own words on a fail."""

    outcome: Outcome
    domain: str
    reason: str = ""
    mechanism: str = ""
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends: address, HELO name, and our own host name for explanations. `now` in seconds since 1970."""

    ip: Ip
    helo: str
    receiver: str = "unknown"
    now: float = 0.0


@functools.lru_cache(4096)
def client_ip(address: str) -> Ip:
    """IPv4 in IPv6 (`::ffff:…`) is IPv4 (section 5)."""
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


async def check_mail_from(resolver: Resolver, client: Client, reverse_path: str) -> SpfResult:
    """The null reverse-path stands for postmaster at the HELO name (section 2.4)."""
    local, _, domain = reverse_path.rpartition("@")
    if not reverse_path:
        domain = client.helo
    return await _check(resolver, client, local or "postmaster", domain)


async def check_helo(resolver: Resolver, client: Client) -> SpfResult:
    return await _check(resolver, client, "postmaster", client.helo)


async def _check(resolver: Resolver, client: Client, local: str, domain: str) -> SpfResult:
    name = domain.lower().removesuffix(".")
    if not is_name(name) or "." not in name or not name.isascii() or name.startswith("["):
        return SpfResult(Outcome.NONE, name, "not a domain name")
    evaluation = _Evaluation(resolver, client, local[:LOCAL_LIMIT], name)
    try:
        async with asyncio.timeout(SECONDS):
            return await evaluation.run()
    except TimeoutError:
        return SpfResult(Outcome.TEMPERROR, name, "took too long")
    except LookupFailed as error:
        return SpfResult(Outcome.TEMPERROR, name, str(error))
    except (PermError, RecordError, MacroError) as error:
        return SpfResult(Outcome.PERMERROR, name, str(error))


@dataclass(frozen=True, slots=True)
class _Found:
    """How check_host ended for one domain, and whose explanation holds."""

    outcome: Outcome
    mechanism: str = ""
    explanation: str = ""
    domain: str = ""


@dataclass(slots=True)
class _Evaluation:
    """One check with the counters that all its records share."""

    resolver: Resolver
    client: Client
    local: str
    sender_domain: str
    lookups: int = 0
    void_lookups: int = 0
    _validated: tuple[str, ...] | None = None
    _has_names: bool = False

    async def run(self) -> SpfResult:
        found = await self._check_host(self.sender_domain)
        explanation = ""
        if found.outcome is Outcome.FAIL and found.explanation:
            explanation = await self._explain(found.explanation, found.domain)
        return SpfResult(found.outcome, self.sender_domain, "", found.mechanism, explanation)

    async def _check_host(self, domain: str) -> _Found:
        record = await self._record(domain)
        if record is None:
            return _Found(Outcome.NONE)
        for mechanism in record.mechanisms:
            if await self._matches(mechanism, domain):
                outcome = _BY_QUALIFIER[mechanism.qualifier]
                return _Found(outcome, str(mechanism), record.explanation or "", domain)
        if record.redirect is None:
            return _Found(Outcome.NEUTRAL)
        self._count_lookup()
        found = await self._check_host(await self._target(record.redirect, domain))
        if found.outcome is Outcome.NONE:
            raise PermError("redirect= leads to no record")
        return found

    async def _record(self, domain: str) -> Record | None:
        if not is_name(domain):
            return None
        texts = [text for text in await records(self.resolver.txt(domain)) if spf_record.is_spf(text)]
        if len(texts) > 1:
            raise PermError(f"{domain} publishes several records")
        if not texts:
            return None
        record = spf_record.parse(texts[0])
        if record.bare_names:
            raise PermError(f"{record.bare_names[0]} is no domain name")
        return record

    async def _matches(self, mechanism: Mechanism, domain: str) -> bool:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            network = mechanism.network
            return network.version == self.client.ip.version and self.client.ip in network
        self._count_lookup()
        name = await self._target(mechanism.target, domain) if mechanism.target else domain
        match mechanism.name:
            case "include":
                return await self._includes(name)
            case "a":
                return await self._has_address(name, mechanism)
            case "mx":
                return await self._has_mx(name, mechanism)
            case "ptr":
                return _below(name, await self._validated_names()) != ""
        return is_name(name) and bool(await self._counted(name, 4))

    async def _includes(self, name: str) -> bool:
        found = await self._check_host(name)
        if found.outcome is Outcome.NONE:
            raise PermError(f"include:{name} leads to no record")
        return found.outcome is Outcome.PASS

    async def _has_address(self, name: str, mechanism: Mechanism) -> bool:
        prefix = mechanism.prefix4 if self.client.ip.version == 4 else mechanism.prefix6
        addresses = await self._counted(name, self.client.ip.version) if is_name(name) else ()
        return any(self.client.ip in ipaddress.ip_network((address, prefix), strict=False) for address in addresses)

    async def _has_mx(self, name: str, mechanism: Mechanism) -> bool:
        hosts = await records(self.resolver.mx(name)) if is_name(name) else ()
        if not hosts:
            self._count_void()
        if len(hosts) > MOST_NAMES:
            raise PermError(f"{name} has more than {MOST_NAMES} MX hosts")
        for mx in sorted(hosts, key=lambda host: host.preference):
            if mx.host and await self._has_address(mx.host, mechanism):
                return True
        return False

    async def _counted(self, name: str, version: int) -> tuple[str, ...]:
        """Addresses of a name; a lookup that finds nothing is counted."""
        found = await self._addresses(name, version)
        if not found:
            self._count_void()
        return found

    async def _addresses(self, name: str, version: int) -> tuple[str, ...]:
        return await records(self.resolver.a(name) if version == 4 else self.resolver.aaaa(name))

    async def _validated_names(self) -> tuple[str, ...]:
        """The names of the client that lead back to its address. Failures mean that there are none. Asked for once, but
        counted each time that nothing is found."""
        if self._validated is None:
            try:
                names = await records(self.resolver.ptr(self.client.ip.reverse_pointer))
            except LookupFailed:
                names = ()
            self._has_names = bool(names)
            own = [name.lower().removesuffix(".") for name in names[:MOST_NAMES]]
            self._validated = tuple([name for name in own if is_name(name) and await self._leads_back(name)])
        if not self._has_names:
            self._count_void()
        return self._validated

    async def _leads_back(self, name: str) -> bool:
        try:
            addresses = await self._addresses(name, self.client.ip.version)
        except LookupFailed:
            return False
        return any(ipaddress.ip_address(address) == self.client.ip for address in addresses)

    async def _values(self, text: str, domain: str) -> Values:
        values = Values(
            local=self.local,
            sender_domain=self.sender_domain,
            domain=domain,
            ip=self.client.ip,
            helo=self.client.helo,
            receiver=self.client.receiver,
            now=int(self.client.now),
        )
        if not spf_macro.needs_validated_name(text):
            return values
        names = await self._validated_names()
        return replace(values, validated=_below(domain, names) or next(iter(names), "unknown"))

    async def _target(self, spec: str, domain: str) -> str:
        return spf_macro.expand_domain(spec, await self._values(spec, domain)).lower()

    async def _explain(self, spec: str, domain: str) -> str:
        """Section 6.2: whatever goes wrong, there is no explanation then."""
        try:
            texts = await records(self.resolver.txt(await self._target(spec, domain)))
            if len(texts) != 1 or not texts[0].isascii() or len(texts[0]) > LONGEST_EXPLANATION:
                return ""
            return spf_macro.expand(texts[0], await self._values(texts[0], domain), is_explanation=True)
        except (LookupFailed, PermError, MacroError):
            return ""

    def _count_lookup(self) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise PermError(f"more than {MOST_LOOKUPS} lookups")

    def _count_void(self) -> None:
        self.void_lookups += 1
        if self.void_lookups > MOST_VOID_LOOKUPS:
            raise PermError(f"more than {MOST_VOID_LOOKUPS} lookups that found nothing")


def _below(domain: str, names: tuple[str, ...]) -> str:
    """Of names that lead back the one that is `domain`, or else one below it (section 5.5); empty without."""
    return domain if domain in names else next((name for name in names if name.endswith(f".{domain}")), "")
