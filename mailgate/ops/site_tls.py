"""TLS of the MTA-STS web server: one certificate for each `mta-sts.<domain>`, chosen by the name that is asked for."""

from __future__ import annotations

import ssl
from pathlib import Path

from mailgate.model.errors import UserError
from mailgate.records import log

_logger = log.get(__name__)


class SiteTls:
    """`folder` holds a folder for each name, with `fullchain.pem` and `privkey.pem` in it, as ACME clients lay them
    out. `context` is what listeners use; UserError where the folder can't be read. A certificate that is wrong costs
    its name only: the log says so, and the one before stays, if there was one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._take_up()
        self.context = _bare()
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """New connections get the files' present content."""
        try:
            self._take_up()
        except UserError as error:
            _logger.error("certificates of mta-sts names were not taken up; those before stay", reason=str(error))

    def _take_up(self) -> None:
        found, wrong = _read(self._folder)
        for name, fault in wrong.items():
            before = self._contexts.get(name)
            if before is not None:
                found[name] = before
            stays = "the one before stays" if before is not None else "the name has none"
            _logger.error(f"a certificate of an mta-sts name was not taken up; {stays}", name=name, reason=fault)
        self._contexts = found

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        chosen = self._contexts.get((name or "").lower())
        if chosen is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = chosen
        return None


def faults(folder: Path) -> dict[str, str]:
    """What is wrong, by name; UserError where the folder can't be read."""
    return _read(folder)[1]


def _read(folder: Path) -> tuple[dict[str, ssl.SSLContext], dict[str, str]]:
    """By name in small letters: those that are good, and what is wrong with the others."""
    try:
        names = sorted(path.name for path in folder.iterdir() if (path / "fullchain.pem").exists())
    except OSError as error:
        raise UserError(f"MAILGATE_STS_CERTS {folder}: {error.strerror}. Name a folder that can be read") from None
    contexts: dict[str, ssl.SSLContext] = {}
    wrong: dict[str, str] = {}
    for name in names:
        chain, key = folder / name / "fullchain.pem", folder / name / "privkey.pem"
        context = _bare()
        try:
            context.load_cert_chain(chain, key, password="")
        except OSError as error:
            why = getattr(error, "reason", None) or error.strerror
            wrong[name.lower()] = f"MAILGATE_STS_CERTS {chain} with {key.name}: {why}"
        else:
            contexts[name.lower()] = context
    return contexts, wrong


def without_tickets(context: ssl.SSLContext) -> None:
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0  # TLS 1.3 would send those that name a session in our memory


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    without_tickets(context)
    return context
