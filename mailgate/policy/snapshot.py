"""The published policy: immutable, all tenants in it, the same in every process."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mailgate.model.errors import MailgateError
from mailgate.policy.effective import EffectivePolicy, effective_policy
from mailgate.policy.schema import GatewayPolicy, SendingCertificate, TenantPolicy

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SnapshotError(MailgateError):
    """These bytes are no snapshot that this version of the program can read."""


class Snapshot(BaseModel):
    """`built_in` is kept with the files' content, so that an old snapshot still means the same in a later release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    built_in: GatewayPolicy
    gateway: GatewayPolicy
    tenants: dict[str, TenantPolicy]

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits that stand for the content: the same content has the same version."""
        return hashlib.sha256(self.encode()).hexdigest()[:12]

    @cached_property
    def _effective(self) -> dict[str, EffectivePolicy]:
        """Those made so far. Not a private attribute of pydantic's: reading one costs more than the look-up in it."""
        return {}

    def for_tenant(self, tenant: str) -> EffectivePolicy:
        """What holds for this tenant; a tenant without a file has the gateway's policy. Cheap: made once, then kept."""
        key = tenant if tenant in self.tenants else ""
        policy = self._effective.get(key)
        if policy is None:
            policy = effective_policy(self.version, self.built_in, self.gateway, key, self.tenants.get(key))
            self._effective[key] = policy
        return policy

    @cached_property
    def _networks(self) -> tuple[tuple[Network, str], ...]:
        return tuple(
            (ipaddress.ip_network(network), name)
            for name, own in sorted(self.tenants.items())
            for network in own.sending.networks
        )

    def senders_at(self, address: str) -> frozenset[str]:
        """The tenants whose own servers are at this IP address."""
        if not self._networks:
            return frozenset()
        ip = _ip(address)
        return frozenset(tenant for network, tenant in self._networks if ip in network)

    @cached_property
    def _line_feed_networks(self) -> tuple[Network, ...]:
        networks = {network for own in self.tenants.values() for network in own.sending.line_feed_networks}
        return tuple(map(ipaddress.ip_network, sorted(networks)))

    def ends_lines_in_lf(self, address: str) -> bool:
        """Is a device at this IP address that knows no other line end?"""
        return bool(self._line_feed_networks) and any(_ip(address) in network for network in self._line_feed_networks)

    @cached_property
    def _certificates(self) -> tuple[tuple[str, SendingCertificate], ...]:
        return tuple((name, each) for name, own in sorted(self.tenants.items()) for each in own.sending.certificates)

    @property
    def asks_for_certificates(self) -> bool:
        """Whether a client certificate could let anybody in."""
        return bool(self._certificates)

    def senders_with(self, sha256: str, public_key: str) -> tuple[tuple[str, SendingCertificate], ...]:
        """Tenants that know a server of theirs by this certificate or its key (both in hexadecimal, small letters)."""
        return tuple((tenant, each) for tenant, each in self._certificates if each.fits(sha256, public_key))

    @property
    def for_gateway(self) -> EffectivePolicy:
        """What holds before a tenant is known, and for tenants without a file."""
        return self.for_tenant("")

    def encode(self) -> bytes:
        """Canonical JSON; files are kept as what they give, so that the layers stay apart."""
        content = {
            "format": self.format,
            "built_in": self.built_in.model_dump(mode="json"),
            "gateway": self.gateway.model_dump(mode="json", exclude_unset=True),
            "tenants": {name: own.model_dump(mode="json", exclude_unset=True) for name, own in self.tenants.items()},
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises SnapshotError for anything that `encode` of this version could not have written."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise SnapshotError(f"unreadable policy snapshot: {error.error_count()} errors") from error


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """IPv4 in IPv6 (`::ffff:…`) is IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
