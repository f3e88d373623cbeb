"""The policy of one tenant: built-in values, over them gateway.toml, over that the tenant's file.

Precedence of values: a tenant's value goes before the gateway's, which goes before the built-in one. But limits and the
transport minimum of the gateway bind: a tenant's value counts only where it is stricter. Rules: the tenant's first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from mailgate.model.decision import Action
from mailgate.model.verdict import Unscanned
from mailgate.policy.exceptions import (
    AttachmentExemption,
    ScannerExemption,
    attachment_exemption,
    scanner_exemption,
)
from mailgate.policy.rules import Rule, compile_rule
from mailgate.policy.schema import (
    LISTS,
    Addresses,
    Authentication,
    DefectAction,
    DmarcReports,
    GatewayLimits,
    GatewayPolicy,
    GatewayPostmaster,
    InboundRoute,
    Limits,
    Mailboxes,
    MtaSts,
    Passwords,
    Postmaster,
    Quarantine,
    Retention,
    RouteRule,
    Section,
    SenderException,
    Sending,
    Signing,
    Submission,
    TenantPolicy,
    Transport,
    TransportClass,
    UnscannedActions,
)
from mailgate.policy.values import ANY_OTHER_DEFECT, names_domain

GATEWAY_FILE = "gateway.toml"
BUILT_IN = "built-in"
_OF_THE_MESSAGE = (Unscanned.LIMIT, Unscanned.ENCRYPTED, Unscanned.END_TO_END_ENCRYPTED)

_S = TypeVar("_S", bound=Section)


def tenant_file(tenant: str) -> str:
    """Where a tenant's policy stands, below the policy folder."""
    return f"tenants/{tenant}.toml"


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """All that holds for one tenant. `rules` in the order in which they are tried; `sources` says for each key that a
    file gives, such as `limits.parts`, which file that is."""

    version: str
    language: Literal["en", "de"]
    limits: GatewayLimits
    infected: Action
    suspicious: Action
    scanner_down: Action
    unscanned: UnscannedActions
    authentication: Authentication
    exceptions: tuple[SenderException, ...]
    rules: tuple[Rule, ...]
    attachment_exemptions: tuple[AttachmentExemption, ...]
    scanner_exemptions: tuple[ScannerExemption, ...]
    defects: Mapping[str, DefectAction]
    transport: Transport
    routes: tuple[RouteRule, ...]
    inbound: tuple[InboundRoute, ...]
    sending: Sending
    mta_sts: MtaSts
    signing: Signing
    dmarc_reports: DmarcReports
    postmaster: GatewayPostmaster
    quarantine: Quarantine
    passwords: Passwords
    submission: Submission
    mailboxes: Mailboxes
    addresses: Addresses
    retention: Retention
    sources: Mapping[str, str]

    def source(self, key: str) -> str:
        """The file that gives `key`, or `built-in`."""
        return self.sources.get(key, BUILT_IN)

    def inbound_route(self, domain: str) -> InboundRoute | None:
        """Where mail for `domain` goes if the tenant has it here; None: to mailboxes here."""
        return next((route for route in self.inbound if names_domain(route.domains, domain)), None)

    def unscanned_action(self, reason: Unscanned | None) -> tuple[str, Action]:
        """Key and action for a part that was not scanned through its own fault; without a reason it is `worker`."""
        name = reason.value.replace("-", "_") if reason in _OF_THE_MESSAGE else Unscanned.WORKER.value
        return f"unscanned.{name}", getattr(self.unscanned, name)

    def defect_action(self, name: str) -> tuple[str, DefectAction]:
        """Key and action for a defect; one that is not named is treated as `*`, or else scanned."""
        key = name if name in self.defects else ANY_OTHER_DEFECT
        return f"defects.{key}", self.defects.get(key, DefectAction.SCAN)


def effective_policy(
    version: str, built_in: GatewayPolicy, gateway: GatewayPolicy, tenant: str = "", own: TenantPolicy | None = None
) -> EffectivePolicy:
    """`own` is the file of `tenant`, None where the tenant has none."""
    layers: list[tuple[str, TenantPolicy]] = [(BUILT_IN, built_in), (GATEWAY_FILE, gateway)]
    if own is not None:
        layers.append((tenant_file(tenant), own))
    policies = [policy for _, policy in layers]
    scanning = _overlaid([policy.scanning for policy in policies])
    defects = {name: action for policy in policies for name, action in policy.defects.items()}
    return EffectivePolicy(
        version=version,
        language=_overlaid(policies).language,
        limits=_limits(built_in, gateway, own),
        infected=scanning.infected,
        suspicious=scanning.suspicious,
        scanner_down=scanning.scanner_down,
        unscanned=_overlaid([policy.unscanned for policy in policies]),
        authentication=_overlaid([policy.authentication for policy in policies]),
        exceptions=tuple(each for policy in reversed(policies) for each in policy.exceptions),
        rules=tuple(
            compile_rule(rule, file, number)
            for file, policy in reversed(layers)
            for number, rule in enumerate(policy.attachments, 1)
        ),
        attachment_exemptions=tuple(
            attachment_exemption(each, file, number)
            for file, policy in reversed(layers)
            for number, each in enumerate(policy.attachment_exceptions, 1)
        ),
        scanner_exemptions=tuple(
            scanner_exemption(each, file, number)
            for file, policy in reversed(layers)
            for number, each in enumerate(policy.scanner_exceptions, 1)
        ),
        defects=MappingProxyType(defects),
        transport=_transport(built_in, gateway, own),
        routes=tuple(route for policy in reversed(policies) for route in policy.routes),
        inbound=tuple(route for policy in reversed(policies) for route in policy.inbound),
        sending=_overlaid([policy.sending for policy in policies]),
        mta_sts=_overlaid([policy.mta_sts for policy in policies]),
        signing=_overlaid([policy.signing for policy in policies]),
        dmarc_reports=_overlaid([policy.dmarc_reports for policy in policies]),
        postmaster=_postmaster([policy.postmaster for policy in policies]),
        quarantine=_overlaid([policy.quarantine for policy in policies]),
        passwords=_overlaid([policy.passwords for policy in policies]),
        submission=_overlaid([policy.submission for policy in policies]),
        mailboxes=_overlaid([policy.mailboxes for policy in policies]),
        addresses=_overlaid([policy.addresses for policy in policies]),
        retention=_overlaid([policy.retention for policy in policies]),
        sources=MappingProxyType({key: file for file, policy in layers[1:] for key in given_keys(policy)}),
    )


def loosened(gateway: EffectivePolicy, own: TenantPolicy) -> Iterator[tuple[str, Any, Any]]:
    """Key, wanted value, binding value of all that a tenant's file wants to be less strict than the gateway."""
    for name in sorted(own.limits.model_fields_set):
        wanted, bound = getattr(own.limits, name), getattr(gateway.limits, name)
        if wanted > bound:
            yield f"limits.{name}", wanted, bound
    if "minimum" in own.transport.model_fields_set and own.transport.minimum < gateway.transport.minimum:
        yield "transport.minimum", own.transport.minimum.value, gateway.transport.minimum.value


def given_keys(section: Section, prefix: str = "") -> Iterator[str]:
    """Dotted keys that a file gives itself, lists of rules apart."""
    for name in sorted(section.model_fields_set - LISTS):
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from given_keys(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            yield from (f"{prefix}{name}.{key}" for key in value)
        else:
            yield f"{prefix}{name}"


def _overlaid(layers: list[_S]) -> _S:
    """The first layer with all that the later ones give."""
    merged, *later = layers
    for layer in later:
        merged = merged.model_copy(update={name: getattr(layer, name) for name in layer.model_fields_set})
    return merged


def _postmaster(layers: list[Postmaster]) -> GatewayPostmaster:
    """A tenant's file has no operator."""
    return GatewayPostmaster().model_copy(update=_overlaid(layers).model_dump())


def _limits(built_in: GatewayPolicy, gateway: GatewayPolicy, own: TenantPolicy | None) -> GatewayLimits:
    bound = _overlaid([built_in.limits, gateway.limits])
    wanted = own.limits if own is not None else Limits()
    stricter = {name: min(getattr(bound, name), getattr(wanted, name)) for name in wanted.model_fields_set}
    return bound.model_copy(update=stricter)


def _transport(built_in: GatewayPolicy, gateway: GatewayPolicy, own: TenantPolicy | None) -> Transport:
    """The minimum and the classes only ever get stricter."""
    layers = [built_in.transport, gateway.transport, *([own.transport] if own is not None else [])]
    classes: dict[str, TransportClass] = {}
    for layer in layers:
        for pattern, wanted in layer.classes.items():
            known = classes.get(pattern, TransportClass.OPPORTUNISTIC)
            classes[pattern] = max(known, wanted, key=lambda each: each.level)
    minimum = max(layer.minimum for layer in layers)
    return _overlaid(layers).model_copy(update={"minimum": minimum, "classes": classes})
