"""MTA-STS policies of domains, fetched when their TXT record says so, kept on disk until they expire (RFC 8461
section 5.1): an attacker who blocks DNS or HTTPS later can't take a known policy away."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailgate.model.dns import Resolver
from mailgate.transport import mta_sts
from mailgate.transport.https import Fetch, HttpsAnswer, HttpsError, HttpsRequest, ask
from mailgate.transport.mta_sts import LARGEST_POLICY, PolicyError, StsPolicy

FETCH_SECONDS = 60.0
RETRY_SECONDS = 300.0  # RFC 8461 section 3.3: no more than one failed fetch in five minutes
MOST_DOMAINS = 50_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy as it was fetched; `id` of the TXT record then, `fetched_at` in seconds since 1970."""

    policy: StsPolicy
    id: str
    fetched_at: float

    @property
    def until(self) -> float:
        return self.fetched_at + self.policy.max_age

    @property
    def refresh_at(self) -> float:
        """Ahead of the end, and once a day (RFC 8461 section 3.3, section 10.2)."""
        return self.fetched_at + min(self.policy.max_age / 2, 86_400.0)


class StsCache:
    """`folder` holds one file a domain. `clock` in seconds since 1970. `allows` tells the addresses that DNS may lead
    to; `fetch` is for tests."""

    def __init__(
        self,
        resolver: Resolver,
        folder: Path,
        clock: Callable[[], float],
        allows: Callable[[str], bool],
        fetch: Fetch | None = None,
    ) -> None:
        self._resolver = resolver
        self._folder = folder
        self._clock = clock
        self._allows = allows
        self._fetch = fetch or _verified()
        self._kept: dict[str, Kept | None] = {}
        self._retry_at: dict[str, float] = {}
        self._fetching: dict[str, asyncio.Task[Kept | None]] = {}

    async def policy(self, domain: str) -> StsPolicy | None:
        """The policy that counts now; None where there is none. A policy that is kept counts whatever happens to DNS
        and HTTPS; it is fetched anew in the background where it gets old, and at once where the record changed."""
        kept = self._valid(domain)
        texts = await self._resolver.txt(f"_mta-sts.{domain}")
        found = mta_sts.id_of(texts.records)
        if not found:
            return kept.policy if kept is not None else None
        if kept is not None and kept.id == found:
            if kept.refresh_at <= self._clock():
                self._begin_fetch(domain, found)
            return kept.policy
        task = self._begin_fetch(domain, found)
        fetched = await asyncio.shield(task) if task is not None else None
        current = fetched or kept
        return current.policy if current is not None else None

    def _valid(self, domain: str) -> Kept | None:
        if domain not in self._kept:
            if len(self._kept) >= MOST_DOMAINS:
                self._kept.clear()
            self._kept[domain] = self._read(domain)
        kept = self._kept[domain]
        return kept if kept is not None and kept.until > self._clock() else None

    def _begin_fetch(self, domain: str, found: str) -> asyncio.Task[Kept | None] | None:
        """One fetch at a time for a domain; none soon after one that failed."""
        running = self._fetching.get(domain)
        if running is None and self._retry_at.get(domain, 0.0) <= self._clock():
            running = self._fetching[domain] = asyncio.create_task(self._renew(domain, found))
            running.add_done_callback(lambda task: self._fetching.pop(domain, None))
        return running

    async def _renew(self, domain: str, found: str) -> Kept | None:
        try:
            policy = await fetch_policy(self._resolver, domain, self._allows, self._fetch)
        except (HttpsError, PolicyError) as error:
            _log.warning("MTA-STS policy of %s: %s", domain, error)
            if len(self._retry_at) >= MOST_DOMAINS:
                self._retry_at.clear()
            self._retry_at[domain] = self._clock() + RETRY_SECONDS
            return None
        kept = Kept(policy, found, self._clock())
        self._kept[domain] = kept
        self._write(domain, kept)
        return kept

    # On disk

    def _path(self, domain: str) -> Path:
        # long names and odd characters make no file names
        return self._folder / f"{hashlib.sha256(domain.encode()).hexdigest()[:32]}.json"

    def _read(self, domain: str) -> Kept | None:
        try:
            stored = json.loads(self._path(domain).read_text())
            if stored["domain"] != domain:
                return None
            return Kept(mta_sts.parse_policy(stored["text"]), stored["id"], float(stored["fetched_at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s can't be read and is left out: %s", self._path(domain), error)
            return None

    def _write(self, domain: str, kept: Kept) -> None:
        stored = {"domain": domain, "text": kept.policy.text, "id": kept.id, "fetched_at": kept.fetched_at}
        path = self._path(domain)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(stored))
            fresh.replace(path)
        except OSError as error:
            _log.error("%s can't be written, the policy is kept in memory only: %s", path, error)


async def fetch_policy(
    resolver: Resolver, domain: str, allows: Callable[[str], bool], fetch: Fetch | None = None
) -> StsPolicy:
    """The policy from its well-known place (RFC 8461 section 3.3); HttpsError or PolicyError."""
    host = f"mta-sts.{domain}"
    six, four = await asyncio.gather(resolver.aaaa(host), resolver.a(host))
    addresses = tuple(address for address in (*four.records, *six.records) if allows(address))
    if not addresses:
        raise HttpsError(f"{host} has no usable address")
    request = HttpsRequest(host, addresses, "/.well-known/mta-sts.txt", LARGEST_POLICY, FETCH_SECONDS)
    return policy_of(await (fetch or _verified())(request))


def policy_of(answer: HttpsAnswer) -> StsPolicy:
    """HttpsError where the answer is none, PolicyError where it holds no valid policy."""
    if answer.status != 200:
        raise HttpsError(f"the answer has status {answer.status}, and redirects are not followed")
    if answer.content_type != "text/plain":
        raise HttpsError(f"the policy is of type {answer.content_type or 'unknown'}, not text/plain")
    try:
        return mta_sts.parse_policy(answer.body.decode("utf-8"))
    except UnicodeDecodeError:
        raise PolicyError("the policy is not UTF-8") from None


def _verified() -> Fetch:
    context = ssl.create_default_context()

    async def fetch(request: HttpsRequest) -> HttpsAnswer:
        return await ask(request, context)

    return fetch
