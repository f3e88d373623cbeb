"""The checks of one message beside each other: SPF and iprev from MAIL on, the others once the message is here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Set

from mailgate.senderauth import arc, author, dkim_verify, dmarc, iprev, spf
from mailgate.senderauth.arc import ArcResult, Chain
from mailgate.senderauth.author import AuthorError, NoAuthorError
from mailgate.senderauth.dkim_verify import Candidate, DkimResult
from mailgate.senderauth.dmarc import DmarcResult
from mailgate.senderauth.dns import Resolver
from mailgate.senderauth.findings import Findings
from mailgate.senderauth.header import Header
from mailgate.senderauth.iprev import IprevResult
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.spf import Client, SpfResult

TOO_LATE = "the DNS took too long"
MOST_AUTHOR_DOMAINS = 4

BodyHashes = Callable[[Set[str]], Awaitable[Mapping[str, bytes]]]


class SenderCheck:
    """Lookups begin when it is made, so in a running loop; `read` goes on with the message; `findings` waits. Whoever
    makes one calls `close` in the end."""

    def __init__(self, resolver: Resolver, client: Client, reverse_path: str) -> None:
        self._resolver = resolver
        self._client = client
        self._reverse_path = reverse_path
        domain = reverse_path.rpartition("@")[2] or client.helo
        self._spf = SpfResult(Outcome.TEMPERROR, domain, TOO_LATE)
        self._helo: SpfResult | None = None
        self._iprev = IprevResult(Outcome.TEMPERROR)
        self._dkim: tuple[DkimResult, ...] = ()
        self._arc = ArcResult(Outcome.NONE)
        self._dmarc: tuple[DmarcResult, ...] = ()
        self._author_problem = ""
        checks = (self._check_spf(), self._check_helo(), self._check_iprev())
        self._envelope = tuple(map(asyncio.create_task, checks))
        self._message: asyncio.Task[None] | None = None

    def read(self, found: Header, body_hashes: BodyHashes) -> None:
        """`found`: the message's header. `body_hashes` gives SHA-256 of the body by canonicalization, of
        those that are asked for; it is called only where there is a signature."""
        self._message = asyncio.create_task(self._check_message(found, body_hashes))

    async def findings(self, seconds: float) -> Findings:
        """What was found within `seconds`; the rest is temperror."""
        assert self._message is not None
        done, _ = await asyncio.wait((self._message,), timeout=seconds)
        for task in done:
            task.result()
        return Findings(
            client_address=str(self._client.ip),
            reverse_path=self._reverse_path,
            helo=self._client.helo,
            spf=self._spf,
            spf_helo=self._helo,
            iprev=self._iprev,
            dkim=self._dkim,
            arc=self._arc,
            dmarc=self._dmarc,
            author_problem=self._author_problem,
        )

    def close(self) -> None:
        for task in (*self._envelope, self._message):
            if task is not None:
                task.cancel()

    async def _check_spf(self) -> None:
        self._spf = await spf.check_mail_from(self._resolver, self._client, self._reverse_path)

    async def _check_helo(self) -> None:
        """Besides; with a null reverse-path it is the check of MAIL FROM already."""
        if self._reverse_path:
            self._helo = await spf.check_helo(self._resolver, self._client)

    async def _check_iprev(self) -> None:
        self._iprev = await iprev.check(self._resolver, self._client.ip)

    async def _check_message(self, found: Header, body_hashes: BodyHashes) -> None:
        signatures, chain = dkim_verify.candidates(found), arc.read(found)
        authors = self._authors(found)
        self._dkim = tuple(
            DkimResult(Outcome.TEMPERROR, TOO_LATE, each.signature) if each.signature else DkimResult(Outcome.NEUTRAL)
            for each in signatures
        )
        self._arc = ArcResult(Outcome.TEMPERROR if chain.sets else Outcome.NONE, TOO_LATE if chain.sets else "")
        self._dmarc = tuple(DmarcResult(Outcome.TEMPERROR, domain, reason=TOO_LATE) for domain in authors)
        if signatures or chain.sets or chain.problem:
            await self._check_signatures(found, signatures, chain, body_hashes)
        await asyncio.gather(*self._envelope)
        self._dmarc = tuple([await self._dmarc_of(each) for each in authors])

    async def _check_signatures(
        self, found: Header, signatures: tuple[Candidate, ...], chain: Chain, body_hashes: BodyHashes
    ) -> None:
        """The body is hashed once for all of them."""
        forms = dkim_verify.body_forms(signatures) | chain.body_forms
        digests = asyncio.ensure_future(body_hashes(forms) if forms else _nothing())
        try:
            await asyncio.gather(self._check_dkim(found, signatures, digests), self._check_arc(found, chain, digests))
        finally:
            digests.cancel()

    async def _check_dkim(
        self, found: Header, signatures: tuple[Candidate, ...], digests: Awaitable[Mapping[str, bytes]]
    ) -> None:
        self._dkim = await dkim_verify.verify(found, signatures, digests, self._resolver, self._client.now)

    async def _check_arc(self, found: Header, chain: Chain, digests: Awaitable[Mapping[str, bytes]]) -> None:
        self._arc = await arc.verify(found, chain, digests, self._resolver)

    async def _dmarc_of(self, author_domain: str) -> DmarcResult:
        """A fail is no fail while a lookup is open that could still make it a pass. What is open must be aligned, or
        else anybody could keep a policy away by a signature whose key never arrives."""
        result = await self._evaluate(author_domain, Outcome.PASS)
        if result.outcome is not Outcome.FAIL:
            return result
        possible = await self._evaluate(author_domain, Outcome.PASS, Outcome.TEMPERROR)
        if possible.outcome is not Outcome.PASS:
            return result
        return DmarcResult(Outcome.TEMPERROR, author_domain, reason="a check that might pass has no result")

    async def _evaluate(self, author_domain: str, *counted: Outcome) -> DmarcResult:
        spf_domain = self._spf.domain if self._spf.outcome in counted else ""
        signers = [each.domain for each in self._dkim if each.outcome in counted]
        return await dmarc.evaluate(self._resolver, author_domain, spf_domain, signers)

    def _authors(self, found: Header) -> tuple[str, ...]:
        try:
            domains = author.author_domains(found)
        except NoAuthorError:
            return ()
        except AuthorError as error:
            self._author_problem = str(error)
            return ()
        if len(domains) > MOST_AUTHOR_DOMAINS:
            self._author_problem = "the From field names too many domains"
            return ()
        return tuple(domain for domain in domains if not domain.startswith("["))


async def _nothing() -> Mapping[str, bytes]:
    return {}
