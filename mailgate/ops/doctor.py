"""`mailgate doctor`: everything that can be looked at from outside a running gateway, with what to do about it."""

from __future__ import annotations

import datetime
import os
import shlex
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import dns.exception
import dns.message
import dns.query

from mailgate.inspect import confinement
from mailgate.model.errors import UserError
from mailgate.ops import checks, clamd_conf, layout, postmaster_check, privacy, site_tls, spool_check, tenant_check
from mailgate.ops.checks import Check, Status, fail, ok, warn
from mailgate.ops.host_name import host_name
from mailgate.ops.scanner_check import ScannerCheck
from mailgate.ops.tls import RENEW_DAYS, Certificate
from mailgate.policy import loader
from mailgate.policy.strangers import strangers
from mailgate.sandbox import landlock
from mailgate.settings import Listen, Settings
from mailgate.spool.clock_keeping import read_clock
from mailgate.spool.schema import open_reader
from mailgate.store.policies import last_good_file, read_last_good

SAFE_SQLITE = (3, 51, 3)
RESOLVER_SECONDS = 3.0
MOST_NAMED = 20


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which one would set things right."""
    now = datetime.datetime.now(datetime.UTC)
    return [
        host_name(settings.hostname, settings.resolver, RESOLVER_SECONDS),
        policies(settings),
        certificate(settings, now),
        *site_certificates(settings.sts_certs),
        *ScannerCheck(settings.clamd, settings.message_size_limit)(),
        *clamd_conf.limits(settings.clamd, settings.message_size_limit),
        resolver(settings.resolver),
        checks.disk(_existing(settings.data_dir), settings.message_size_limit),
        permissions(settings),
        isolation(),
        spool_check.spool(settings.data_dir),
        tenant_check.tenants(settings.data_dir),
        *postmaster_check.postmasters(settings.data_dir, settings.policy_dir, settings.message_size_limit),
        clock(settings.data_dir),
        gateway(settings),
        *listeners(settings),
        sqlite(apsw.sqlite_lib_version()),
    ]


def failed(found: list[Check]) -> bool:
    return any(check.status is Status.FAIL for check in found)


def policies(settings: Settings) -> Check:
    try:
        snapshot = loader.load(settings.policy_dir, settings.message_size_limit)
    except UserError as error:
        advice = "correct them; `mailgate policy check` lists them too. " + _meanwhile(settings)
        return fail("policies", str(error), advice)
    told = f"version {snapshot.version}, tenants with a file of their own: {len(snapshot.tenants)}"
    tenants = tenant_check.names(settings.data_dir)
    remarks = strangers(settings.policy_dir, snapshot, tenants) if tenants is not None else []
    if remarks:
        found = _first([str(remark) for remark in remarks], "; ")
        return warn("policies", f"{told}; {found}", "rename the file, or make the tenant")
    return ok("policies", told)


def _meanwhile(settings: Settings) -> str:
    try:
        last = read_last_good(last_good_file(settings.data_dir))
    except UserError as error:
        return f"A gateway can't start: {error}"
    if last is None:
        return "A gateway can't start: no earlier version was ever in force"
    return f"Meanwhile the last good ones hold (version {last.version}), also for a gateway that is started"


def certificate(settings: Settings, now: datetime.datetime) -> Check:
    if settings.tls_cert is None or settings.tls_key is None:
        return warn(
            "certificate",
            "self-signed: senders that check it, and mail programs, will complain",
            "set MAILGATE_TLS_CERT and MAILGATE_TLS_KEY to a certificate for the host name",
        )
    pair = Certificate(settings.tls_cert, settings.tls_key)
    try:
        pair.check()
    except UserError as error:
        return fail("certificate", str(error), "correct the files or the settings")
    ends = pair.leaf().not_valid_after_utc
    days = (ends - now).days
    if ends <= now:
        return fail("certificate", f"{pair.chain} ended on {ends:%Y-%m-%d}", "renew it, then `mailgate reload`")
    if days < RENEW_DAYS:
        return warn("certificate", f"{pair.chain} ends in {days} days", "renew it, then `mailgate reload`", days=days)
    return ok("certificate", f"good until {ends:%Y-%m-%d}", days=days)


def site_certificates(folder: Path | None) -> list[Check]:
    if folder is None:
        return []
    try:
        faults = list(site_tls.faults(folder).values())
    except UserError as error:
        return [fail("mta-sts certificates", str(error), "correct the setting or the folder")]
    if faults:
        advice = "correct the files, then `mailgate reload`; until then the policy of that domain is not served"
        return [fail("mta-sts certificates", _first(faults, "; "), advice)]
    return [ok("mta-sts certificates", f"all in {folder} can be used")]


def resolver(address: str) -> Check:
    try:
        where = Listen.parse(address)
        dns.query.udp(dns.message.make_query(".", "SOA"), where.host, RESOLVER_SECONDS, port=where.port)
    except (dns.exception.DNSException, OSError, ValueError) as error:
        text = f"{address} does not answer ({error})"
        return warn("resolver", text, "run a validating resolver there, or correct MAILGATE_RESOLVER")
    return ok("resolver", f"{address} answers")


def permissions(settings: Settings) -> Check:
    """The data is for the gateway's account alone; nobody else may change what it does."""
    found = list(privacy.exposed(settings.data_dir))
    wrong = [str(each) for each in found]
    advice = [each.command for each in found]
    for path, forbidden in (
        (settings.policy_dir, stat.S_IWOTH),
        (settings.tls_key, stat.S_IRWXO),
        (settings.master_key_file, privacy.OTHERS),
    ):
        if path is not None and _can_be_seen(path) and path.stat().st_mode & forbidden:
            mode = path.stat().st_mode
            wrong.append(f"{path} is {stat.filemode(mode)}")
            advice.append(f"chmod {stat.S_IMODE(mode) & ~forbidden:04o} {shlex.quote(str(path))}")
    if settings.data_dir.exists() and not os.access(settings.data_dir, os.W_OK | os.X_OK):
        wrong.append(f"{settings.data_dir} can't be written by this account")
        advice.append(f"run this as {privacy.account(settings.data_dir.stat().st_uid)}, or chown the folder")
    if others := privacy.foreign(settings.data_dir):
        owner = privacy.account(settings.data_dir.stat().st_uid)
        wrong.append(f"not {owner}'s, as the data directory is: " + _first([str(path) for path in others], ", "))
        advice.append(f"as root: {privacy.chown_line(settings.data_dir)}")
    if wrong:
        return fail("permissions", _first(wrong, "; "), _first(advice, "\n"))
    return ok("permissions", f"{settings.data_dir} is for the gateway's account alone")


def _first(texts: list[str], between: str) -> str:
    more = len(texts) - MOST_NAMED
    return between.join([*texts[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])


def isolation() -> Check:
    """What holds an inspector that a message has taken over."""
    missing = confinement.missing()
    if not missing:
        return ok("isolation", f"inspectors are confined by Landlock (version {landlock.version()}) and seccomp")
    return warn(
        "isolation",
        f"inspectors are not confined by {' and '.join(missing)}: the kernel, or the container around us, has it not",
        "use a kernel from 5.13 with both, or a container engine that lets the gateway ask for them",
    )


def clock(data_dir: Path) -> Check:
    """Read beside a gateway that runs."""
    try:
        with closing(open_reader(data_dir / "spool" / "spool.db")) as connection:
            state = read_clock(connection)
    except apsw.Error:
        state = None  # before the first start, or not ours to read: other checks say so
    return checks.clock(None if state is None else state.doubted_since)


def gateway(settings: Settings) -> Check:
    pid = layout.holder(settings.data_dir)
    if pid is None:
        return warn("gateway", f"none runs on {settings.data_dir}", "start it: `mailgate serve`")
    return ok("gateway", f"runs as process {pid}", pid=pid)


def listeners(settings: Settings) -> list[Check]:
    """Does somebody answer on the ports of a running gateway; are they free for one that is not running?"""
    runs = layout.holder(settings.data_dir) is not None
    probe: Callable[[Listen], str] = _answers if runs else _is_free
    found = []
    for name in ("mx", "submission", "submissions", "metrics"):
        listens: list[Listen] = getattr(settings, f"{name}_listen")
        troubles = [trouble for listen in listens if (trouble := probe(listen))]
        where = ", ".join(map(str, listens))
        if troubles:
            advice = "see the log" if runs else f"stop what uses it, or change MAILGATE_{name.upper()}_LISTEN"
            found.append(fail(f"port {name}", "; ".join(troubles), advice))
        else:
            found.append(ok(f"port {name}", f"{where or 'none'} {'answers' if runs else 'can be had'}"))
    return found


def sqlite(version: str) -> Check:
    numbers = tuple(int(part) for part in version.split("."))
    if numbers < SAFE_SQLITE:
        least = ".".join(map(str, SAFE_SQLITE))
        return fail("sqlite", f"{version} can lose a commit when it checkpoints", f"install apsw with SQLite {least}")
    return ok("sqlite", version)


def _answers(listen: Listen) -> str:
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    try:
        socket.create_connection((host, listen.port), timeout=2).close()
    except OSError as error:
        return f"{listen} does not answer: {error.strerror or error}"
    return ""


def _is_free(listen: Listen) -> str:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        socket.create_server((listen.host, listen.port), family=family).close()
    except OSError as error:
        return f"{listen}: {error.strerror or error}"
    return ""


def _can_be_seen(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists (before the first start)."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if _can_be_seen(path))
