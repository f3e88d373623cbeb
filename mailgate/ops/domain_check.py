"""`mailgate dns check`: what a hosted domain publishes, what is missing or wrong, and the record to publish.

The checks run beside each other; none raises, and a lookup that fails is never taken for an absence.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mailgate.model.dns import Answer, Mx, Resolver, Status
from mailgate.ops.checks import Check, fail, ok, warn
from mailgate.senderauth import dkim_key, dmarc_record, iprev, spf, spf_record
from mailgate.senderauth.dmarc_record import DmarcPolicy, DmarcRecord, RecordError
from mailgate.senderauth.outcome import Outcome
from mailgate.transport import certificate as certificates
from mailgate.transport import dane, mta_sts, tlsrpt
from mailgate.transport.dane import Dane, Standing
from mailgate.transport.https import HttpsError
from mailgate.transport.mta_sts import Mode, PolicyError, StsPolicy
from mailgate.transport.published import DnsRecord, txt_line


class Names(Resolver, Protocol):
    """A resolver that knows reverse names too."""

    async def ptr(self, name: str) -> Answer[str]: ...


@dataclass(frozen=True, slots=True)
class SigningName:
    """A DKIM key in use: where its record stands, and what it says."""

    name: str
    record: str


@dataclass(frozen=True, slots=True)
class HostedDomain:
    """What is looked at: `name` in A-labels, `host` our name as its MX with the addresses that its mail leaves from,
    `certificate` what we show there, `suggested` the records that `mailgate dns records` prints, `reports_to` where the
    tenant's DMARC reports are read (empty where they are not), `host_addresses` what our name leads to (empty: the same
    as `addresses`)."""

    name: str
    host: str
    addresses: tuple[str, ...]
    certificate: x509.Certificate
    keys: tuple[SigningName, ...]
    suggested: tuple[DnsRecord, ...]
    reports_to: str = ""
    host_addresses: tuple[str, ...] = ()

    @property
    def dmarc_reports(self) -> str:
        """The address to name in the DMARC record."""
        return self.reports_to or f"postmaster@{self.name}"

    def suggestion(self, owner: str) -> str:
        """The line to publish at this name, empty where we have none."""
        return next((record.line for record in self.suggested if record.name == owner), "")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`fetch_policy` gets the MTA-STS policy file of a domain; HttpsError or PolicyError."""

    resolver: Names
    fetch_policy: Callable[[str], Awaitable[StsPolicy]]


async def examine(around: Surroundings, domain: HostedDomain) -> list[Check]:
    """Every check, in the order in which one would set things right."""
    return list(await asyncio.gather(*(check(around, domain) for check in CHECKS)))


async def mx(around: Surroundings, domain: HostedDomain) -> Check:
    answer = await around.resolver.mx(domain.name)
    publish = domain.suggestion(domain.name)
    if not answer.is_known:
        return _unknown("mx", answer)
    if not answer.records:
        return fail("mx", "no MX record: mail does not come here", "publish it", publish=publish)
    ours = [record for record in answer.records if record.host == domain.host]
    others = sorted({record.host or "the null MX" for record in answer.records} - {domain.host})
    if not ours:
        return fail("mx", f"mail goes to {', '.join(others)}, not here", "publish it instead", publish=publish)
    first = min(ours, key=lambda record: record.preference)
    before = [record for record in answer.records if record.host != domain.host and not _is_after(record, first)]
    if before:
        text = f"{', '.join(sorted(record.host for record in before))} gets mail as well as {domain.host}"
        return warn("mx", text, "let only hosts that scan as we do come first, or beside us", publish=publish)
    return ok("mx", f"mail comes to {domain.host}" + (f", then to {', '.join(others)}" if others else ""))


def _is_after(record: Mx, ours: Mx) -> bool:
    return record.preference > ours.preference


async def spf_(around: Surroundings, domain: HostedDomain) -> Check:
    """Each address that we send from must pass, and whoever else must not."""
    answer = await around.resolver.txt(domain.name)
    if not answer.is_known:
        return _unknown("spf", answer)
    texts = [text for text in answer.records if spf_record.is_spf(text)]
    if not texts:
        text = (
            _letting_in("v=spf1 -all", domain, domain.addresses) if domain.addresses else f"v=spf1 a:{domain.host} -all"
        )
        publish = _txt(domain, text)
        return fail("spf", "no SPF record: others may take our mail for forged", "publish it", publish=publish)
    if len(texts) > 1:
        return fail("spf", f"{len(texts)} SPF records, so none counts", "leave one of them", found=texts)
    try:
        record = spf_record.parse(texts[0])
    except spf_record.RecordError as error:
        return fail("spf", f"the record is not valid: {error}", "correct it", found=texts)
    for address in domain.addresses:
        client = spf.Client(spf.client_ip(address), domain.host)
        found = await spf.check_mail_from(around.resolver, client, f"postmaster@{domain.name}")
        if found.outcome in (Outcome.PERMERROR, Outcome.TEMPERROR):
            return fail("spf", f"the record can't be evaluated: {found.reason}", "correct it", found=texts)
        if found.outcome is not Outcome.PASS:
            reason = f"mail from {address}, which we send from, gets {found.outcome}"
            return fail(
                "spf", reason, "publish it instead", publish=_txt(domain, _letting_in(texts[0], domain, [address]))
            )
    return _spf_end(record, texts[0])


def _letting_in(text: str, domain: HostedDomain, addresses: Sequence[str]) -> str:
    """The record with what lets these addresses of ours in, before all else: by the name of the host where that
    leads to them and does not stand there already, else one by one."""
    version, _, rest = text.partition(" ")
    by_host = f"a:{domain.host}"
    known = {word.lower().lstrip("+") for word in rest.split()}
    own = domain.host_addresses or domain.addresses
    added = [
        by_host if address in own and by_host not in known else f"ip{ipaddress.ip_address(address).version}:{address}"
        for address in addresses
    ]
    return " ".join([version, *dict.fromkeys(added), rest]).rstrip()


def _spf_end(record: spf_record.Record, text: str) -> Check:
    everybody = next((each for each in record.mechanisms if each.name == "all"), None)
    if everybody is not None and everybody.qualifier == "+":
        return fail("spf", "everybody may send for the domain (+all)", "end it by -all", found=text)
    if record.redirect is None and (everybody is None or everybody.qualifier == "?"):
        return warn("spf", "the record says nothing about others than our hosts", "end it by -all", found=text)
    return ok("spf", "our addresses pass", found=text)


async def dkim(around: Surroundings, domain: HostedDomain) -> Check:
    if not domain.keys:
        return fail("dkim", "the domain has no keys: its mail is not signed", f"mailgate dkim create {domain.name}")
    answers = await asyncio.gather(*(around.resolver.txt(key.name) for key in domain.keys))
    hidden = []
    for key, answer in zip(domain.keys, answers, strict=True):
        if not answer.is_known:
            return _unknown("dkim", answer)
        if not any(dkim_key.is_same_key(text, key.record) for text in answer.records):
            hidden.append(key)
    if hidden:
        text = f"keys that the DNS does not show, so they do not sign: {', '.join(map(_selector, hidden))}"
        publish = "\n".join(txt_line(key.name, key.record) for key in hidden)
        return fail("dkim", text, "publish what is missing", publish=publish)
    return ok("dkim", f"the DNS shows all keys: {', '.join(map(_selector, domain.keys))}")


def _selector(key: SigningName) -> str:
    return key.name.partition(".")[0]


async def dmarc(around: Surroundings, domain: HostedDomain) -> Check:
    owner = f"_dmarc.{domain.name}"
    answer = await around.resolver.txt(owner)
    if not answer.is_known:
        return _unknown("dmarc", answer)
    text = f"v=DMARC1; p=quarantine; rua=mailto:{domain.dmarc_reports}"
    publish = txt_line(owner, text)
    texts = [text for text in answer.records if dmarc_record.is_dmarc(text)]
    if not texts:
        return fail("dmarc", "no DMARC record: anybody can write in the domain's name", "publish it", publish=publish)
    if len(texts) > 1:
        return fail("dmarc", f"{len(texts)} DMARC records, so none counts", "leave one of them", found=texts)
    try:
        record = dmarc_record.parse(texts[0])
    except RecordError as error:
        return fail("dmarc", f"the record is not valid: {error}", "correct it", publish=publish, found=texts)
    return await _dmarc_strength(around.resolver, domain, record, texts[0])


async def _dmarc_strength(resolver: Names, domain: HostedDomain, record: DmarcRecord, text: str) -> Check:
    if record.policy is DmarcPolicy.NONE or record.is_testing:
        reason = "others are asked to do nothing about forged mail (p=none or t=y)"
        return warn("dmarc", reason, "raise it to quarantine, then reject, once the reports look good", found=text)
    if not record.reports:
        return warn("dmarc", "nobody gets reports (no rua=)", f"add rua=mailto:{domain.dmarc_reports}", found=text)
    if domain.reports_to and domain.reports_to.casefold() not in map(str.casefold, record.reports):
        reason = f"reports do not come to {domain.reports_to}, where `dmarc_reports.address` has them read"
        return warn("dmarc", reason, f"add mailto:{domain.reports_to} to rua=", found=text)
    for address in record.reports:
        target = address.rpartition("@")[2]
        if target != domain.name and not target.endswith(f".{domain.name}"):
            owner = f"{domain.name}._report._dmarc.{target}"
            consent = await resolver.txt(owner)
            if consent.is_known and not any(map(dmarc_record.is_dmarc, consent.records)):
                return warn(
                    "dmarc",
                    f"{target} does not say that it takes reports of {domain.name}, so it gets few",
                    "have it published there",
                    publish=txt_line(owner, "v=DMARC1"),
                    found=text,
                )
    return ok("dmarc", f"forged mail: {record.policy}; reports to {', '.join(record.reports)}", found=text)


async def mta_sts_(around: Surroundings, domain: HostedDomain) -> Check:
    owner = f"_mta-sts.{domain.name}"
    answer = await around.resolver.txt(owner)
    publish = domain.suggestion(owner)
    if not answer.is_known:
        return _unknown("mta-sts", answer)
    if not mta_sts.id_of(answer.records):
        text = "no valid MTA-STS record: others may be led to speak to us without TLS"
        advice = "publish it, and the policy file (`mailgate dns records` shows both)"
        return warn("mta-sts", text, advice, publish=publish)
    try:
        policy = await around.fetch_policy(domain.name)
    except (HttpsError, PolicyError) as error:
        return fail("mta-sts", f"the policy file can't be had: {error}", "serve it, see `mailgate dns records`")
    if not policy.allows(domain.host):
        text = f"the policy names {', '.join(policy.mx) or 'no host'}, not {domain.host}"
        return fail("mta-sts", text, f"name {domain.host} in it, then publish a new id", publish=publish)
    if policy.mode is not Mode.ENFORCE:
        return warn("mta-sts", f"the policy is in mode {policy.mode}", "set it to enforce once TLS reports look good")
    if not certificates.proves(domain.certificate, [domain.host]) or _is_self_signed(domain.certificate):
        text = f"the policy enforces a valid certificate, and ours does not prove {domain.host}"
        return fail("mta-sts", text, "set MAILGATE_TLS_CERT and MAILGATE_TLS_KEY")
    return ok("mta-sts", f"enforced for {domain.host}")


def _is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


async def tls_reports(around: Surroundings, domain: HostedDomain) -> Check:
    owner = f"_smtp._tls.{domain.name}"
    answer = await around.resolver.txt(owner)
    if not answer.is_known:
        return _unknown("tls-reports", answer)
    uris = tlsrpt.uris_of(answer.records)
    if not uris:
        text = "no valid TLSRPT record: nobody tells us where TLS to us fails"
        return warn("tls-reports", text, "publish it", publish=domain.suggestion(owner))
    return ok("tls-reports", f"sent to {', '.join(uris)}")


async def dane_(around: Surroundings, domain: HostedDomain) -> Check:
    owner = dane.owner(domain.host, 25)
    answer = await around.resolver.tlsa(owner)
    standing, usable = dane.standing(answer)
    publish = domain.suggestion(owner)
    if standing is Standing.FAILED:
        return _unknown("dane", answer)
    if answer.status is not Status.FOUND:
        return warn("dane", f"{owner} has no TLSA record", "publish it where the zone is signed", publish=publish)
    if not answer.is_secure:
        return warn("dane", f"{owner} is not secured by DNSSEC, so it does not count", "sign the zone of the host")
    if not usable:
        return warn("dane", f"{owner} has no record that others can use", "publish it", publish=publish)
    proof = Dane(domain.host, usable, (domain.host, domain.name))
    found = dane.match(proof, [domain.certificate.public_bytes(Encoding.DER)], datetime.datetime.now(datetime.UTC))
    if found.record is None:
        text = f"the TLSA records do not fit our certificate, so mail does not arrive: {found.reason}"
        return fail("dane", text, "publish it beside them, then take the old ones away", publish=publish)
    return ok("dane", f"our certificate is proven by {found.words}")


async def ptr(around: Surroundings, domain: HostedDomain) -> Check:
    if not domain.addresses:
        advice = f"publish A or AAAA records of {domain.host}, or set transport.egress_address"
        return fail("ptr", f"{domain.host} has no address, so nobody knows what we send from", advice)
    for address in domain.addresses:
        pointer = ipaddress.ip_address(address).reverse_pointer
        found = await iprev.check(around.resolver, ipaddress.ip_address(address))
        publish = f"{pointer}. IN PTR {domain.host}."
        if found.outcome is Outcome.TEMPERROR:
            return warn("ptr", f"the name of {address} can't be looked up", "try again later")
        if found.outcome is not Outcome.PASS:
            text = f"{address} has no name that leads back to it; many servers refuse such senders"
            return fail("ptr", text, "have whoever gave us the address publish it", publish=publish)
        if found.name != domain.host:
            text = f"{address} is called {found.name}, and we greet as {domain.host}"
            return warn("ptr", text, "have whoever gave us the address publish it", publish=publish)
    return ok("ptr", f"{', '.join(domain.addresses)}: {domain.host}")


def _txt(domain: HostedDomain, text: str) -> str:
    return txt_line(domain.name, text)


def _unknown(name: str, answer: Answer[Any]) -> Check:
    return warn(name, f"can't be looked up: {answer.reason or answer.status}", "try again later")


CHECKS: Sequence[Callable[[Surroundings, HostedDomain], Awaitable[Check]]] = (
    mx,
    spf_,
    dkim,
    dmarc,
    mta_sts_,
    tls_reports,
    dane_,
    ptr,
)
