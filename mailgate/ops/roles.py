"""The processes that the supervisor starts: `python -m mailgate _store|_inspector|_relay|_edge`, sockets inherited.

Each role imports what it needs itself: an inspector must neither hold nor wait for what the store is made of.
"""

from __future__ import annotations

import argparse
import gc
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from mailgate import settings as settings_module
from mailgate.ipc import keys
from mailgate.ipc.endings import Endings
from mailgate.model.errors import MailgateError
from mailgate.ops.child import announcer
from mailgate.ops.listeners import EDGE
from mailgate.records import log
from mailgate.sandbox.process import die_with, hide_memory
from mailgate.settings import Settings

Ready = Callable[[], None]
Descriptors = Mapping[str, Sequence[int]]


def main(arguments: Sequence[str]) -> int:
    """Exit status 2 for what a person must correct, 3 for what may pass; a traceback (1) is an error of ours."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with(given.parent)
    hide_memory()
    descriptors: dict[str, list[int]] = {}
    for text in given.socket:
        name, _, number = text.partition("=")
        descriptors.setdefault(name, []).append(int(number))
    try:
        settings = settings_module.load()
        log.configure(settings.log_level, given.name)
        ROLES[given.role](settings, descriptors, announcer(given.ready_fd))
    except MailgateError as error:
        log.get(__name__).critical("the process can't run", reason=str(error))
        return 3
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mailgate", description="Started by `mailgate serve` only.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--socket", action="append", default=[], metavar="NAME=DESCRIPTOR")
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--name", required=True)
    return parser


def _settled(ready: Ready) -> Ready:
    """`ready`, from which on the process rarely looks for cycles: what is there by then stays, and messages leave few,
    so that looking after every 700 new objects, as is the default, would cost more than they hold."""

    def announce() -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        ready()

    return announce


def _store(settings: Settings, descriptors: Descriptors, ready: Ready) -> None:
    from mailgate.store import process

    store, admin = descriptors["store"][0], descriptors["admin"][0]
    process.main(settings, store, admin, keys.inherited(descriptors["keys"][0]), _settled(ready))


def _inspector(settings: Settings, descriptors: Descriptors, ready: Ready) -> None:
    from mailgate.inspect import worker

    ready()  # the socket is bound: what comes from now on waits there; and confinement closes the pipe
    (listener,), (scanners,), largest = descriptors["inspector"], descriptors["scanners"], settings.message_size_limit
    worker.main(listener, settings.clamd, settings.inspector_user, scanners_fd=scanners, largest=largest)


def _relay(settings: Settings, descriptors: Descriptors, ready: Ready) -> None:
    import uvloop

    from mailgate.relay.process import serve

    key = keys.inherited(descriptors["keys"][0])[keys.RELAY]
    uvloop.run(serve(settings, _settled(ready), key))


def _edge(settings: Settings, descriptors: Descriptors, ready: Ready) -> None:
    import uvloop

    from mailgate.edge.process import serve
    from mailgate.ops.tls import ServerTls

    tls = ServerTls(settings)
    key = keys.inherited(descriptors["keys"][0])[keys.EDGE]
    sockets = {name: [socket.socket(fileno=each) for each in descriptors.get(name, ())] for name in EDGE}
    endings = Endings(descriptors["endings"][0])
    uvloop.run(serve(settings, sockets, tls.contexts, endings, _settled(ready), tls.reload, key))


ROLES: Mapping[str, Callable[[Settings, Descriptors, Ready], None]] = {
    "_store": _store,
    "_inspector": _inspector,
    "_relay": _relay,
    "_edge": _edge,
}
