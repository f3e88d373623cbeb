"""Keeps who was refused before a message was kept, with whose business each is."""

from __future__ import annotations

from collections.abc import Mapping

from mailgate.ipc.calls import KeepTurnedAway
from mailgate.model.envelope import TenantName
from mailgate.model.turned_away import TurnedAway
from mailgate.spool.turned_away import Owned
from mailgate.store.directory_thread import Ask
from mailgate.store.keeping.writer import Writer
from mailgate.tenancy.directory import Directory


async def keep(request: KeepTurnedAway, ask: Ask, writer: Writer) -> None:
    """`ask` runs a question to the directory in its thread. Not synced: nobody waits for it."""
    hosted = await ask(_hosted)
    found = [Owned(away, owners(away, hosted)) for away in request.turned_away]
    await writer.do(lambda spool: spool.keep_turned_away(found), durable=False)


def _hosted(directory: Directory) -> dict[str, TenantName]:
    return {domain: tenant.name for tenant in directory.tenants for domain in tenant.domains}


def owners(away: TurnedAway, hosted: Mapping[str, TenantName]) -> dict[str, TenantName]:
    """Of each recipient, "" where there is none: the tenant that it would be mail for; of what goes elsewhere the one
    in whose name it comes."""
    of_sender = hosted.get(domain_of(away.sender), TenantName(""))
    return {path: hosted.get(domain_of(path), of_sender) for path in away.recipients or ("",)}


def domain_of(path: str) -> str:
    return path.rpartition("@")[2].lower().removesuffix(".")
