"""Structured logs on stdout: JSON lines, or readable ones on a terminal. No bodies, subjects or secrets.

Code below `records` uses `logging.getLogger(__name__)`; the rest `log.get(__name__)` with facts as keywords:
`logger.info("accepted", queue_id=..., tenant=...)`. Both come out alike.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import msgspec
import structlog
from structlog.types import Processor

WITHHELD = "[withheld]"
_SECRET_NAMES = frozenset({"password", "secret", "token", "authorization", "key", "subject", "body", "credentials"})

Facts = MutableMapping[str, Any]


def withhold(logger: Any, method: str, facts: Facts) -> Facts:
    """Values under a name that promises a secret or content never leave, whoever passed them by mistake."""
    for name in _SECRET_NAMES.intersection(facts):
        facts[name] = WITHHELD
    return facts


def _encode(facts: Facts, **options: Any) -> str:
    return msgspec.json.encode(facts, enc_hook=str).decode()


def configure(level: str, process: str, stream: TextIO | None = None) -> None:
    """Call once in each process, before the first line. `process` names the role, e.g. `edge`."""
    out = stream or sys.stdout
    threshold = logging.getLevelNamesMapping()[level.upper()]
    origin = {"process": process, "pid": os.getpid()}

    def name_origin(logger: Any, method: str, facts: Facts) -> Facts:
        facts.update(origin)
        return facts

    shared: list[Processor] = [
        name_origin,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        withhold,
    ]
    last: list[Processor]
    if out.isatty():
        # the default formatter of tracebacks prints local variables, that is: mail and passwords
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ, exception_formatter=plain)]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_encode)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=stream is None,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    # aiosmtpd logs commands with their arguments at INFO, passwords of AUTH among them at DEBUG
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    # what these say when they are imported is of no use to an operator
    for library in ("libarchive", "pikepdf"):
        logging.getLogger(library).setLevel(logging.ERROR)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries its module's name; cheap to call, and safe at import time."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return logger
