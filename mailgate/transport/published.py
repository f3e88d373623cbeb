"""What a hosted domain should publish so that others deliver to us as privately as we do: MX, TLSA, MTA-STS, TLS
reports. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mailgate.transport import dane

STS_MAX_AGE = 604_800


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


def sts_policy(host: str, mode: str = "enforce") -> str:
    """The file for `https://mta-sts.<domain>/.well-known/mta-sts.txt` (RFC 8461 section 3.2)."""
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: {STS_MAX_AGE}\r\n"


def records(domain: str, host: str, public_key: bytes, port: int = 25) -> tuple[DnsRecord, ...]:
    """`host` is our name as an MX, `public_key` the SubjectPublicKeyInfo (DER) of its certificate."""
    digest = hashlib.sha256(public_key).hexdigest()
    identifier = hashlib.sha256(sts_policy(host).encode()).hexdigest()[:20]
    return (
        DnsRecord(domain, "MX", f"10 {host}.", "mail for the domain comes here"),
        DnsRecord(
            dane.owner(host, port),
            "TLSA",
            f"3 1 1 {digest}",
            "DANE: the key of our certificate; counts only in a zone signed by DNSSEC",
        ),
        DnsRecord(
            f"_mta-sts.{domain}", "TXT", f'"v=STSv1; id={identifier}"', "MTA-STS: there is a policy; new id, new policy"
        ),
        DnsRecord(f"mta-sts.{domain}", "CNAME", f"{host}.", "MTA-STS: the web server that serves the policy file"),
        DnsRecord(
            f"_smtp._tls.{domain}", "TXT", f'"v=TLSRPTv1; rua=mailto:postmaster@{domain}"', "where TLS reports go"
        ),
    )
