"""All that the checks found of one message: for the field, for the policy, for the timeline. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailgate.model.sender import Seal, Sender
from mailgate.senderauth import results
from mailgate.senderauth.arc import ArcResult
from mailgate.senderauth.dkim_verify import DkimResult
from mailgate.senderauth.dmarc import DmarcResult
from mailgate.senderauth.dmarc_record import DmarcPolicy
from mailgate.senderauth.iprev import IprevResult
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.results import MethodResult, Property, ResultsError
from mailgate.senderauth.spf import SpfResult

_STRICTNESS = tuple(DmarcPolicy)


@dataclass(frozen=True, slots=True)
class Findings:
    """`dmarc` holds a result for each domain of the From field; `author_problem` says why there is none."""

    client_address: str
    reverse_path: str
    helo: str
    spf: SpfResult
    spf_helo: SpfResult | None
    iprev: IprevResult
    dkim: tuple[DkimResult, ...]
    arc: ArcResult
    dmarc: tuple[DmarcResult, ...]
    author_problem: str = ""

    @property
    def worst(self) -> DmarcResult:
        """Of several authors the one whose domain asks for most counts, then the one who is known least."""
        order = (Outcome.PASS, Outcome.NONE, Outcome.PERMERROR, Outcome.TEMPERROR, Outcome.FAIL)
        return max(self.dmarc, key=lambda each: (_STRICTNESS.index(each.policy), order.index(each.outcome)))

    @property
    def _no_dmarc(self) -> Outcome:
        """Without any domain in From: an address literal is nobody's, anything else is an error."""
        return Outcome.PERMERROR if self.author_problem else Outcome.NONE

    @property
    def sender(self) -> Sender:
        seals = tuple(map(_seal, self.arc.sealers, self.arc.results)) if self.arc.outcome is Outcome.PASS else ()
        if not self.dmarc:
            return Sender("", self.author_problem, self.spf.outcome.value, self._no_dmarc.value, seals=seals)
        worst = self.worst
        return Sender(worst.domain, "", self.spf.outcome.value, worst.outcome.value, worst.policy.value, seals)

    @property
    def results(self) -> tuple[MethodResult, ...]:
        """For Authentication-Results."""
        return (self._iprev(), *self._spf(), *self._dkim(), *self._dmarc(), *self._arc())

    @property
    def facts(self) -> dict[str, Any]:
        """For the timeline: plain values, nothing of the message but domains."""
        found: dict[str, Any] = {"iprev": self.iprev.outcome.value, "spf": self.spf.outcome.value}
        if self.spf.reason:
            found["spf_reason"] = self.spf.reason
        if self.dkim:
            found["dkim"] = [
                f"{each.outcome.value} {each.domain}{f' ({each.reason})' if each.reason else ''}" for each in self.dkim
            ]
        if self.arc.outcome is not Outcome.NONE:
            found["arc"] = f"{self.arc.outcome.value} {' '.join(self.arc.sealers) or self.arc.reason}"
        if self.author_problem:
            found["from"] = self.author_problem
        for each in self.dmarc:
            found.setdefault("dmarc", []).append(_dmarc_words(each))
        return found

    def _iprev(self) -> MethodResult:
        return MethodResult(
            "iprev",
            self.iprev.outcome.value,
            properties=(Property("policy", "iprev", self.client_address),),
            comment=self.iprev.name,
        )

    def _spf(self) -> Iterator[MethodResult]:
        of_helo = self.spf_helo if self.reverse_path else self.spf
        if self.reverse_path:
            mail_from = Property("smtp", "mailfrom", self.reverse_path)
            yield MethodResult("spf", self.spf.outcome.value, self.spf.reason, (mail_from,))
        if of_helo is not None and self.helo:
            yield MethodResult("spf", of_helo.outcome.value, of_helo.reason, (Property("smtp", "helo", self.helo),))

    def _dkim(self) -> Iterator[MethodResult]:
        if not self.dkim:
            yield MethodResult("dkim", Outcome.NONE.value)
        for each in self.dkim:
            signature = each.signature
            properties: tuple[Property, ...] = ()
            if signature is not None:
                properties = (
                    Property("header", "d", signature.domain),
                    Property("header", "s", signature.selector),
                    Property("header", "a", signature.algorithm),
                    # the first characters tell which signature is meant (RFC 6008)
                    Property("header", "b", base64.b64encode(signature.signature).decode()[:8]),
                )
            comment = f"{each.bits}-bit key" if each.bits and signature else ""
            yield MethodResult("dkim", each.outcome.value, each.reason, properties, comment)

    def _dmarc(self) -> Iterator[MethodResult]:
        if not self.dmarc:
            yield MethodResult("dmarc", self._no_dmarc.value, self.author_problem)
        for each in self.dmarc:
            comment = f"p={each.policy.value}" if each.outcome is Outcome.FAIL else ""
            properties = (Property("header", "from", each.domain),)
            yield MethodResult("dmarc", each.outcome.value, each.reason, properties, comment)

    def _arc(self) -> Iterator[MethodResult]:
        if self.arc.outcome is not Outcome.NONE:
            properties = (Property("smtp", "remote-ip", self.client_address),)
            yield MethodResult("arc", self.arc.outcome.value, self.arc.reason, properties)


def _dmarc_words(found: DmarcResult) -> str:
    """What the domain asks for counts on failure only; else what it publishes, or why there is no result."""
    said = f"{found.outcome.value} {found.domain}"
    if found.outcome is Outcome.FAIL:
        return f"{said} asks for {found.policy.value}"
    if found.record is None:
        return f"{said} ({found.reason})" if found.reason else said
    published = found.record.policy_for(found.record_domain == found.domain, exists=True)
    return f"{said} (policy {published.value})"


def _seal(domain: str, value: bytes) -> Seal:
    """What the sealer says of DMARC in its ARC-Authentication-Results (`i=1; authserv-id; …`)."""
    try:
        said = results.parse(value.decode("utf-8", "replace").strip().partition(";")[2])
    except ResultsError:
        return Seal(domain, Outcome.NONE.value)
    return Seal(domain, next((each.result for each in said.results if each.method == "dmarc"), Outcome.NONE.value))
