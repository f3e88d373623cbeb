"""The composition root: what is checked, bound and started, in which order. The only module that sees everything."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from mailgate.inspect import confinement, scanner_sockets
from mailgate.ipc import keys
from mailgate.ipc.endings import Endings
from mailgate.model.errors import UserError
from mailgate.ops import layout, listeners, privacy, tls
from mailgate.ops.child import ChildSpec, environment
from mailgate.ops.endpoint import Endpoint
from mailgate.ops.health import Health
from mailgate.ops.listeners import EDGE, Listeners
from mailgate.ops.site_tls import SiteTls
from mailgate.ops.supervisor import Supervisor
from mailgate.records import log, metrics
from mailgate.sandbox.process import hide_memory
from mailgate.settings import Settings
from mailgate.store import policies

if TYPE_CHECKING:
    from mailgate.ops.single import Single

_logger = log.get(__name__)


def serve(settings: Settings) -> None:
    """Run the gateway until a signal ends it. What can be known to be wrong is said, all of it, before it starts."""
    log.configure(settings.log_level, "supervisor")
    hide_memory()  # it holds the keys of all processes
    layout.prepare(settings)
    if os.geteuid() == 0 and (owner := settings.data_dir.stat().st_uid) != 0:
        who = privacy.account(owner)
        _logger.warning("started as root on another account's data: what is made is root's from now on", owner=who)
    held = layout.lock(settings.data_dir)
    try:
        _serve(settings, held)
    finally:
        os.close(held)
    _logger.info("mailgate has ended")


def _serve(settings: Settings, held: int) -> None:
    bound = _checked(settings)
    counted = layout.metrics_dir(settings) if settings.workers else None
    made = keys.make_keys()
    processes = _processes(settings, bound, held, counted, made)
    health = Health(settings, processes.states, key=made[keys.SUPERVISOR])
    endpoint = Endpoint(lambda: metrics.exposition(counted), health)
    endpoint.start(bound.public["metrics"])
    try:
        asyncio.run(processes.run(lambda: _logger.info("mailgate is ready", **bound.addresses())))
    finally:
        endpoint.stop()
        bound.close()


def _processes(
    settings: Settings, bound: Listeners, held: int, counted: Path | None, made: keys.Keys
) -> Supervisor | Single:
    if counted is None:
        # imported here only, since a supervisor has no use for the databases and the protocol
        from mailgate.ops.single import Single

        return Single(settings, bound, made)
    if missing := confinement.missing():
        _logger.warning("inspectors are less confined than they should be: see `mailgate doctor`", missing=missing)
    metrics.clean(counted)
    return Supervisor(_groups(settings, bound, held, counted, made), environment(settings), counted, bound.close_public)


def _checked(settings: Settings) -> Listeners:
    """The bound sockets; UserError with everything that is wrong with policies, certificate, accounts and sockets."""
    errors: list[UserError] = []
    bound: list[Listeners] = []
    steps: tuple[Callable[[], object], ...] = (
        lambda: policies.check_start(settings),
        lambda: tls.certificate(settings),
        lambda: SiteTls(settings.sts_certs) if settings.sts_certs is not None else None,
        lambda: confinement.account_of(settings.inspector_user) if os.geteuid() == 0 else None,
        lambda: bound.append(listeners.bind(settings)),
    )
    for step in steps:
        try:
            step()
        except UserError as error:
            errors.append(error)
    if errors:
        for each in bound:
            each.close()
        raise errors[0] if len(errors) == 1 else UserError("\n".join(map(str, errors)))
    return bound[0]


def _groups(settings: Settings, bound: Listeners, held: int, counted: Path, made: keys.Keys) -> list[list[ChildSpec]]:
    """Store, then inspectors, relay, edge. All but the inspectors hold the lock too: it is free only once nobody
    writes, sends or listens any more."""
    counting = {"PROMETHEUS_MULTIPROC_DIR": str(counted.absolute())}
    store = {"store": [bound.store.fileno()], "admin": [bound.admin.fileno()], "keys": [keys.to_inherit(made)]}
    edge, relay = ([keys.to_inherit({role: made[role]})] for role in (keys.EDGE, keys.RELAY))
    endings = Endings.make(len(bound.inspectors))
    public = {name: [sock.fileno() for sock in bound.public[name]] for name in EDGE}
    public |= {"keys": edge, "endings": [endings.descriptor]}
    scanners = [_connecting(settings.clamd) for _ in bound.inspectors]
    return [
        [_spec("store", "_store", store, held, counting)],
        [
            _spec(
                f"inspector-{number}",
                "_inspector",
                {"inspector": [sock.fileno()], "scanners": [scanners[number]]},
                None,
                {},
                functools.partial(endings.ended, number),
            )
            for number, sock in enumerate(bound.inspectors)
        ],
        [_spec("relay", "_relay", {"keys": relay}, held, counting)],
        [_spec(f"edge-{number}", "_edge", public, held, counting) for number in range(settings.workers)],
    ]


def _connecting(endpoints: list[str]) -> int:
    """The descriptor by which one inspector, and the one after it, gets connections to its scanners."""
    theirs, ours = scanner_sockets.channel()
    Thread(target=scanner_sockets.answer, args=(ours, endpoints), name="scanner connections", daemon=True).start()
    return theirs.detach()


def _spec(
    name: str,
    role: str,
    sockets: dict[str, list[int]],
    held: int | None,
    environ: dict[str, str],
    on_end: Callable[[int], None] = lambda status: None,
) -> ChildSpec:
    named = [f"--socket={what}={descriptor}" for what, descriptors in sockets.items() for descriptor in descriptors]
    inherited = [descriptor for descriptors in sockets.values() for descriptor in descriptors]
    return ChildSpec(
        name,
        (sys.executable, "-P", "-m", "mailgate", role, *named),  # -P: no code of the working directory
        tuple(inherited if held is None else [*inherited, held]),
        environ,
        on_end=on_end,
    )
