"""The real components that tests need, and what to install where one is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TESTFILES = Path("/usr/share/clamav-testfiles")
SHARED = Path(os.environ.get("MAILGATE_SHARED", REPOSITORY.parent / "shared"))
_SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def program(name: str) -> str | None:
    """The path of an installed program, those for administrators included."""
    return shutil.which(name, path=_SYSTEM_PATH)


def _installed(binary: str, package: str) -> Callable[[], str]:
    return lambda: "" if program(binary) else f"{binary} is not installed (apt-get install {package})"


def exim_program() -> str | None:
    """Installed, or unpacked by scripts/exim.sh, since Debian's packages allow for one of Exim and Postfix only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    unpacked = Path(os.environ.get("MAILGATE_EXIM_HOME") or cache / "mailgate" / "exim") / "exim4"
    return program("exim4") or (str(unpacked) if unpacked.exists() else None)


def _exim() -> str:
    return "" if exim_program() else "Exim is missing (scripts/exim.sh unpacks it)"


def _testfiles() -> str:
    there = (TESTFILES / "clam.exe").exists()
    return "" if there else f"{TESTFILES} is missing (apt-get install clamav-testfiles)"


def _dovecot() -> str:
    """With Lua, Sieve and LMTP, which are packages of their own."""
    modules = Path("/usr/lib/dovecot/modules")
    needed = [modules / "auth/libauthdb_lua.so", modules / "lib90_sieve_plugin.so", Path("/usr/lib/dovecot/lmtp")]
    there = program("dovecot") and program("unshare") and all(each.exists() for each in needed)
    packages = "dovecot-auth-lua dovecot-imapd dovecot-lmtpd dovecot-managesieved dovecot-sieve lua-cjson lua-socket"
    return "" if there else f"dovecot is not complete (apt-get install {packages})"


def _shared() -> str:
    there = (SHARED / "conformance").is_dir()
    return "" if there else f"{SHARED}/conformance is missing (set MAILGATE_SHARED to the folder that holds it)"


PUBLISHED_CASES = "shared"  # no part of the repository, and no package either

FAKETIME = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu" / "faketime" / "libfaketime.so.1"


def _faketime() -> str:
    return "" if FAKETIME.exists() else "libfaketime is not installed (apt-get install faketime)"


COMPONENTS: dict[str, Callable[[], str]] = {
    "clamd": _installed("clamd", "clamav-daemon"),
    "testfiles": _testfiles,
    "postfix": _installed("postfix", "postfix"),
    "exim": _exim,
    "dovecot": _dovecot,
    "strace": _installed("strace", "strace"),
    "knot": _installed("knotd", "knot"),
    "unbound": _installed("unbound", "unbound"),
    "systemd": _installed("systemd-socket-activate", "systemd"),
    "stunnel": _installed("stunnel", "stunnel4"),
    "faketime": _faketime,
    "tcpdump": _installed("tcpdump", "tcpdump"),
    "gcc": _installed("gcc", "gcc libc6-dev"),
    PUBLISHED_CASES: _shared,
    "root": lambda: "" if os.geteuid() == 0 else "this test must run as root",
}


def missing(name: str) -> str:
    """What is missing for component `name`, empty where it is there; KeyError for a name that nobody knows."""
    return COMPONENTS[name]()


def required() -> bool:
    """True where a missing component is a failure and not a reason to skip (continuous integration)."""
    return os.environ.get("MAILGATE_REQUIRE_COMPONENTS") == "1"
