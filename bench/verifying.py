"""Full verification of the sender of a 4 KiB message with cached DNS: SPF with an include, iprev, one RSA-2048
signature, DMARC; processor time.

python -m bench.verifying [--messages N]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping, Set

from bench.signing import MESSAGE
from mailgate.relay.dkim_sign import Identity, signatures
from mailgate.route.resolver import DnsResolver
from mailgate.senderauth import header, spf
from mailgate.senderauth.body import RELAXED, body_hashes
from mailgate.senderauth.check import SenderCheck
from mailgate.senderauth.findings import Findings
from mailgate.senderauth.signing_key import new_rsa
from tests.support.dns_server import DnsServer

NOW = 1_800_000_000
SENDER, ADDRESS = "bob@acme.example", "192.0.2.7"


async def verified(resolver: DnsResolver, raw: bytes) -> Findings:
    check = SenderCheck(resolver, spf.Client(spf.client_ip(ADDRESS), "mx.acme.example", "mx.example", NOW), SENDER)
    found = header.read(raw)

    async def hashes(forms: Set[str]) -> Mapping[str, bytes]:
        return body_hashes(forms, raw[found.size :])

    check.read(found, hashes)
    try:
        return await check.findings(5.0)
    finally:
        check.close()


async def measure(resolver: DnsResolver, raw: bytes, times: int) -> float:
    """Milliseconds of one; the first fills the cache."""
    found = await verified(resolver, raw)
    results = {each.method: str(each.result) for each in found.results}
    assert all(results[method] == "pass" for method in ("spf", "dkim", "dmarc", "iprev")), results
    began = time.process_time()
    for _ in range(times):
        await verified(resolver, raw)
    return (time.process_time() - began) / times * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500)
    times = parser.parse_args().messages
    key, found = new_rsa(), header.read(MESSAGE)
    digest = body_hashes([RELAXED], MESSAGE[found.size :])[RELAXED]
    raw = signatures(found, digest, (Identity("acme.example", "s", key),), NOW) + MESSAGE
    with DnsServer() as server:
        server.records |= {
            ("acme.example", "TXT"): ['"v=spf1 include:spf.acme.example -all"'],
            ("spf.acme.example", "TXT"): [f'"v=spf1 ip4:{ADDRESS} -all"'],
            ("mx.acme.example", "TXT"): ['"v=spf1 a -all"'],
            ("mx.acme.example", "A"): [ADDRESS],
            ("7.2.0.192.in-addr.arpa", "PTR"): ["mx.acme.example."],
            ("_dmarc.acme.example", "TXT"): ['"v=DMARC1; p=reject"'],
            ("s._domainkey.acme.example", "TXT"): [" ".join(f'"{key.record[at : at + 250]}"' for at in (0, 250))],
        }
        resolver = DnsResolver(server.endpoint, False, time.monotonic)
        taken = asyncio.run(measure(resolver, raw, times))
    print(f"message: {len(raw)} bytes")
    print(f"SPF, iprev, DKIM, DMARC: {taken:.3f} ms")


if __name__ == "__main__":
    main()
