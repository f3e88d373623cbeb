"""The checks of a message's sender within a transaction (mailgate.senderauth does them)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Set

from mailgate.edge.staging import Staging
from mailgate.model.address import is_helo
from mailgate.model.envelope import Client
from mailgate.senderauth import spf
from mailgate.senderauth.body import BodyHashes
from mailgate.senderauth.check import SenderCheck
from mailgate.senderauth.dns import Resolver

WAIT_SECONDS = 8.0  # after the end of the message; what is not known then is temperror
SLICE = 64 << 10  # bytes hashed before the other sessions get their turn: some 0.3 ms


def start(resolver: Resolver, client: Client, reverse_path: str, hostname: str) -> SenderCheck:
    """Begins with what the envelope tells. A HELO name that is none can't be checked (RFC 7208 section 2.3)."""
    ip = spf.client_ip(client.address.partition("%")[0])
    helo = client.helo if is_helo(client.helo) else ""
    return SenderCheck(resolver, spf.Client(ip, helo, hostname, time.time()), reverse_path)


async def body_hashes(staging: Staging, start: int, forms: Set[str]) -> Mapping[str, bytes]:
    """Of what begins `start` bytes into the message. In slices on the loop: the file is in the page cache, a thread
    would hold the interpreter just as long, and inspectors get messages without a signature to hash in vain."""
    hashes = BodyHashes(forms)
    at = start
    while at < staging.size:
        hashes.update(staging.read(at, SLICE))
        at += SLICE
        await asyncio.sleep(0)
    return hashes.digests()
