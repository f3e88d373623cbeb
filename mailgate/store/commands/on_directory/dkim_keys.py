"""Commands on DKIM keys, and the keys that the relay signs with. Who asks the DNS tells what it saw: `dkim.seen`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mailgate.ipc.calls import NewKey, SigningKey, SigningKeysFound
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.senderauth import signing_key
from mailgate.tenancy import addresses, dkim_keys
from mailgate.tenancy.databases.models import DkimKey
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.work import Work

KEPT_SECONDS = 7 * 86_400.0  # a retired key's record is still asked for while signed mail is under way

Json = dict[str, Any]

_log = logging.getLogger(__name__)


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def keys_of(directory: Directory, tenant: str, domain: str) -> SigningKeysFound:
    """What may sign for the domain, the newest first; nothing where it is not the tenant's, or where the tenant is gone
    and its last mail leaves. UnavailableError where the keys can't be opened."""
    try:
        domains = directory.tenant(tenant).domains
    except NotFoundError:
        return SigningKeysFound(())
    if domain not in domains:
        return SigningKeysFound(())
    with directory.reading(tenant) as work:
        keys = [key for key in dkim_keys.of_domain(work, domain) if key.retired_at is None]
        content_key = directory.content_key(tenant) if keys else b""
        return SigningKeysFound(
            tuple(SigningKey(key.selector, dkim_keys.unseal(content_key, key), key.record) for key in keys)
        )


def new_keys(directory: Directory, tenant: str, rotate_days: int) -> tuple[NewKey, ...]:
    """The keys of the tenant's domains that wait for the DNS; where those in use are older than `rotate_days`, new ones
    are made first. What was retired a week ago is deleted."""
    waiting: list[NewKey] = []
    for domain in directory.tenant(tenant).domains:
        with directory.reading(tenant) as work:
            keys = dkim_keys.of_domain(work, domain)
            in_use = [key for key in keys if key.retired_at is None]
            is_old = bool(in_use) and in_use[0].created_at < work.now - rotate_days * 86_400.0
            has_waste = any(key.retired_at is not None and key.retired_at < work.now - KEPT_SECONDS for key in keys)
            found = [NewKey(work.tenant.name, domain, key.selector, key.record) for key in _waiting(in_use)]
        if is_old:
            made = _rotate(directory, domain)
            found = [NewKey(work.tenant.name, domain, key["selector"], key["record"]) for key in made]
            _log.warning("new DKIM keys of %s wait for the DNS: publish what `mailgate dkim check` prints", domain)
        elif has_waste:
            seen(directory, domain, ())
        waiting += found
    return tuple(waiting)


def _create(directory: Directory, domain: str) -> list[Json]:
    """The first keys of a domain, one of each kind."""
    tenant, name = _owner(directory, domain)
    content_key = directory.content_key(tenant)
    with directory.changing(tenant) as work:
        if any(key.retired_at is None for key in dkim_keys.of_domain(work, name)):
            raise ConflictError(f"{name} has DKIM keys already; make new ones by `mailgate dkim rotate {name}`")
        made = _add_pair(work, content_key, name)
        work.audit("dkim.create", name, None, {"selectors": [key["selector"] for key in made]})
        return made


def _rotate(directory: Directory, domain: str) -> list[Json]:
    """New keys beside those in use. What waits already is given once more, so that a rotation can be taken up again."""
    tenant, name = _owner(directory, domain)
    content_key = directory.content_key(tenant)
    with directory.changing(tenant) as work:
        deleted = dkim_keys.delete_retired(work, name, work.now - KEPT_SECONDS)
        in_use = [key for key in dkim_keys.of_domain(work, name) if key.retired_at is None]
        waiting = [_facts(key) for key in _waiting(in_use)]
        is_under_way = waiting and len(waiting) == len({key.kind for key in in_use})
        made = [] if is_under_way else _add_pair(work, content_key, name)
        if made or deleted:
            work.audit("dkim.rotate", name, {"deleted": deleted}, {"selectors": [key["selector"] for key in made]})
        return made or waiting


def _waiting(in_use: Sequence[DkimKey]) -> list[DkimKey]:
    """Those beside which an older key of the kind still signs."""
    return [key for key in in_use if any(o.kind == key.kind and o.created_at < key.created_at for o in in_use)]


def _add_pair(work: Work, content_key: bytes, domain: str) -> list[Json]:
    taken = {key.selector for key in dkim_keys.of_domain(work, domain)}
    made = []
    for letter, new in (("r", signing_key.new_rsa), ("e", signing_key.new_ed25519)):
        key, selector = new(), _free_selector(letter, work.now, taken)
        added = dkim_keys.add(work, content_key, domain, selector, key.kind, key.encode(), key.record)
        made.append(_facts(added))
    return made


def _free_selector(letter: str, now: float, taken: set[str]) -> str:
    """`mg20270331r`, then `mg20270331r2`: whoever reads it knows how old the key is."""
    first = f"mg{time.strftime('%Y%m%d', time.gmtime(now))}{letter}"
    number, selector = 1, first
    while selector in taken:
        number += 1
        selector = f"{first}{number}"
    return selector


def _list(directory: Directory, domain: str) -> list[Json]:
    tenant, name = _owner(directory, domain)
    with directory.reading(tenant) as work:
        return [_facts(key) for key in dkim_keys.of_domain(work, name)]


def seen(directory: Directory, domain: str, selectors: Sequence[str]) -> Json:
    """The DNS shows these keys: older ones of their kinds are retired, and deleted once they were so for a week."""
    tenant, name = _owner(directory, domain)
    with directory.changing(tenant) as work:
        retired = [each for selector in selectors for each in dkim_keys.retire_older(work, name, selector)]
        deleted = dkim_keys.delete_retired(work, name, work.now - KEPT_SECONDS)
        changed = {"retired": retired, "deleted": deleted}
        if retired or deleted:
            work.audit("dkim.seen", name, None, changed)
    return changed


def _owner(directory: Directory, domain: str) -> tuple[str, str]:
    """The tenant, and the domain as it is kept."""
    name = addresses.new_domain(domain)
    for tenant in directory.tenants:
        if name in tenant.domains:
            return tenant.name, name
    raise NotFoundError(f"{name} is not hosted here")


def _facts(key: DkimKey) -> Json:
    """Nothing of the private key."""
    return {
        "domain": key.domain,
        "selector": key.selector,
        "kind": key.kind,
        "name": f"{key.selector}._domainkey.{key.domain}",
        "record": key.record,
        "created_at": key.created_at,
        "retired_at": key.retired_at,
    }


_COMMANDS: dict[str, Callable[..., Any]] = {
    "dkim.create": _create,
    "dkim.rotate": _rotate,
    "dkim.list": _list,
    "dkim.seen": seen,
}
