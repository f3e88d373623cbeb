"""Does somebody read what is written to the postmaster and about abuse? Looked at beside a gateway that runs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw

from mailgate.model.errors import UserError
from mailgate.ops.checks import Check, ok, warn
from mailgate.policy import loader
from mailgate.policy.snapshot import Snapshot
from mailgate.tenancy.databases.ids import GATEWAY_MAILBOX

MOST_NAMED = 20


def postmasters(data_dir: Path, policy_dir: Path, message_size_limit: int) -> list[Check]:
    """Of the gateway and of all tenants; none where the policies or the registry can't be read, which others tell."""
    try:
        read = loader.load(policy_dir, message_size_limit)
        if not (data_dir / "registry.db").exists():
            return []
        with closing(_opened(data_dir / "registry.db")) as registry:
            tenants: list[tuple[str, str]] = list(
                registry.execute("SELECT name, id FROM tenants WHERE state = 'active' ORDER BY name")
            )
            hosted: list[tuple[str, str]] = list(registry.execute("SELECT name, tenant_id FROM domains"))
        domains: dict[str, list[str]] = {}
        for domain, tenant in hosted:
            domains.setdefault(tenant, []).append(domain)
        return [
            _operator(data_dir, read.for_gateway.postmaster.operator, {domain for domain, _ in hosted}),
            _tenants(data_dir, read, [(name, id, domains.get(id, [])) for name, id in tenants]),
        ]
    except (UserError, OSError, apsw.Error):
        return []


def _operator(data_dir: Path, operator: str, hosted: set[str]) -> Check:
    waiting = sum(1 for place in ("new", "cur") for _ in (data_dir / GATEWAY_MAILBOX).glob(f"{place}/*"))
    kept = f"it is kept in {data_dir / GATEWAY_MAILBOX} ({waiting} messages)"
    if not operator:
        text = f"nobody is named to read mail to the gateway's postmaster; {kept}"
        advice = 'set operator = "ADDRESS" in [postmaster] of gateway.toml, then `mailgate reload`'
        return warn("postmaster", text, advice)
    if operator.rpartition("@")[2] not in hosted:
        text = f"{operator} is at no domain that is hosted here; mail to the gateway's postmaster: {kept}"
        return warn("postmaster", text, "name an address here in [postmaster] operator; an alias may lead elsewhere")
    if waiting:
        text = f"{waiting} messages from before {operator} was named lie in {data_dir / GATEWAY_MAILBOX}"
        return warn("postmaster", text, "read them, then delete them")
    return ok("postmaster", f"mail to the gateway's postmaster goes to {operator}")


def _tenants(data_dir: Path, policies: Snapshot, tenants: list[tuple[str, str, list[str]]]) -> Check:
    lacking = [
        name
        for name, id, domains in tenants
        if domains
        and not policies.for_tenant(name).postmaster.address
        and not _has_reader(data_dir / "tenants" / id / "tenant.db", domains)
    ]
    if not lacking:
        return ok("postmasters", f"tenants in which somebody reads postmaster@ and abuse@: {len(tenants)}")
    more = len(lacking) - MOST_NAMED
    names = ", ".join([*lacking[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
    text = f"nobody of the tenant reads postmaster@ and abuse@, so it goes to the operator: {names}"
    advice = (
        "`mailgate alias add TENANT postmaster@DOMAIN ADDRESS`, [postmaster] address in the tenant's policy, or an "
    )
    return warn("postmasters", text, advice + "administrator (`mailgate user role`)")


def _has_reader(database: Path, domains: list[str]) -> bool:
    """True also where the database can't be read: another check tells that."""
    wanted = {f"{local}@{domain}" for domain in domains for local in ("postmaster", "abuse")}
    try:
        with closing(_opened(database)) as connection:
            administrators = "SELECT 1 FROM users WHERE role = 'administrator' AND state <> 'disabled' LIMIT 1"
            if connection.execute(administrators).fetchone():
                return True
            found = connection.execute("SELECT address FROM addresses WHERE address GLOB '*@*'")
            return wanted <= {str(address) for (address,) in found}
    except apsw.Error:
        return True


def _opened(path: Path) -> apsw.Connection:
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
