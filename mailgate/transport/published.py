"""What a hosted domain should publish so that others deliver to us as privately as we do: MX, TLSA, MTA-STS, TLS
reports. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mailgate.transport import dane


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One line of a zone; `name` without a final dot, `why` for people."""

    name: str
    kind: str
    value: str
    why: str

    @property
    def line(self) -> str:
        return f"{self.name}. IN {self.kind} {self.value}"


_TXT_STRING = 255  # octets of one string of a TXT record (RFC 1035 section 3.3.14)


def txt_line(name: str, text: str) -> str:
    """A TXT record as a line of a zone; a long text in several strings."""
    strings = " ".join(f'"{text[at : at + _TXT_STRING]}"' for at in range(0, len(text), _TXT_STRING))
    return f"{name}. IN TXT {strings}"


def sts_policy(hosts: Sequence[str], mode: str, max_age: int) -> str:
    """The file for `https://mta-sts.<domain>/.well-known/mta-sts.txt` (RFC 8461 section 3.2); `max_age` in seconds."""
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), f"max_age: {max_age}"]
    return "".join(f"{line}\r\n" for line in lines)


def records(domain: str, host: str, public_key: bytes, sts: str, port: int = 25) -> tuple[DnsRecord, ...]:
    """`host` is our name as an MX, `public_key` the SubjectPublicKeyInfo (DER) of its certificate, `sts` the MTA-STS
    policy file, empty where there is none."""
    digest = hashlib.sha256(public_key).hexdigest()
    return (
        DnsRecord(domain, "MX", f"10 {host}.", "mail for the domain comes here"),
        DnsRecord(
            dane.owner(host, port),
            "TLSA",
            f"3 1 1 {digest}",
            "DANE: the key of our certificate; counts only in a zone signed by DNSSEC",
        ),
        *(_sts_records(domain, host, sts) if sts else ()),
        DnsRecord(
            f"_smtp._tls.{domain}", "TXT", f'"v=TLSRPTv1; rua=mailto:postmaster@{domain}"', "where TLS reports go"
        ),
    )


def _sts_records(domain: str, host: str, sts: str) -> tuple[DnsRecord, ...]:
    identifier = hashlib.sha256(sts.encode()).hexdigest()[:20]
    return (
        DnsRecord(
            f"_mta-sts.{domain}", "TXT", f'"v=STSv1; id={identifier}"', "MTA-STS: there is a policy; new id, new policy"
        ),
        DnsRecord(f"mta-sts.{domain}", "CNAME", f"{host}.", "MTA-STS: the web server that serves the policy file"),
    )
