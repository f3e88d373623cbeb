"""TLS of the MTA-STS web server: one certificate for each `mta-sts.<domain>`, chosen by the name that is asked for."""

from __future__ import annotations

import ssl
from pathlib import Path

from mailgate.model.errors import UserError
from mailgate.records import log

_logger = log.get(__name__)


class SiteTls:
    """`folder` holds a folder for each name, with `fullchain.pem` and `privkey.pem` in it, as ACME clients lay them
    out. `context` is what listeners use; UserError where a certificate is wrong at the start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contexts = _read(folder)
        self.context = _bare()
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """New connections get the files' present content; where something is wrong all stay, and the log says so."""
        try:
            self._contexts = _read(self._folder)
        except UserError as error:
            _logger.error("certificates of mta-sts names were not taken up; those before stay", reason=str(error))

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        chosen = self._contexts.get((name or "").lower())
        if chosen is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = chosen
        return None


def _read(folder: Path) -> dict[str, ssl.SSLContext]:
    try:
        names = sorted(path.name for path in folder.iterdir() if (path / "fullchain.pem").exists())
    except OSError as error:
        raise UserError(f"MAILGATE_STS_CERTS {folder}: {error.strerror}. Name a folder that can be read") from None
    contexts = {}
    for name in names:
        chain, key = folder / name / "fullchain.pem", folder / name / "privkey.pem"
        context = _bare()
        try:
            context.load_cert_chain(chain, key, password="")
        except OSError as error:
            why = getattr(error, "reason", None) or error.strerror
            raise UserError(f"MAILGATE_STS_CERTS {chain} with {key.name}: {why}") from None
        contexts[name.lower()] = context
    return contexts


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context
