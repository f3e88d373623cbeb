"""clamd's own configuration, where it lies on this machine: which of its limits let something pass that no canary can
show, since clamd says nothing where it stops."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mailgate.ops.checks import Check, fail, ok, warn
from mailgate.settings import Listen

_USUAL = ("/etc/clamav/clamd.conf", "/etc/clamd.d/scan.conf", "/etc/clamd.conf", "/usr/local/etc/clamav/clamd.conf")
_LARGEST = 1 << 20  # bytes of a configuration
_CREDENTIALS = struct.Struct("3i")  # struct ucred, unix(7)
_SECONDS = 3.0
_SIZE = re.compile(r"(\d{1,15})([KkMm]?)")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}
_MIB = 1 << 20
# clamd.conf(5) of ClamAV 1.4
_DEFAULTS = {
    "MaxScanSize": 400 * _MIB,
    "MaxFileSize": 100 * _MIB,
    "StreamMaxLength": 100 * _MIB,
    "MaxEmbeddedPE": 40 * _MIB,
    "MaxHTMLNormalize": 40 * _MIB,
    "MaxHTMLNoTags": 8 * _MIB,
    "MaxScriptNormalize": 20 * _MIB,
    "PCREMaxFileSize": 100 * _MIB,
}
_SILENT = {
    "MaxEmbeddedPE": "programs in other files",
    "MaxHTMLNormalize": "web pages",
    "MaxHTMLNoTags": "the text of web pages",
    "MaxScriptNormalize": "scripts",
    "PCREMaxFileSize": "files, by signatures with regular expressions",
}
_SWITCHES = {
    **dict.fromkeys(("AlertExceedsMax", "AlertEncryptedArchive"), "yes"),
    "HeuristicScanPrecedence": "no",
}
_LOOKS_INTO = ("Archive", "Mail", "HTML", "PDF", "OLE2", "PE", "ELF", "SWF", "XMLDOCS", "HWP3", "OneNote")
_ON_BY_DEFAULT = frozenset(f"Scan{name}" for name in _LOOKS_INTO)
_TRUE = frozenset({"yes", "true", "1"})


def limits(endpoints: Sequence[str], largest: int) -> list[Check]:
    """One check for each endpoint whose configuration is found; `largest`: bytes of a message."""
    found = [(endpoint, path) for endpoint in endpoints if (path := configuration_of(endpoint)) is not None]
    return [judged(endpoint, path, parsed(_text(path)), largest) for endpoint, path in found]


def configuration_of(endpoint: str) -> Path | None:
    """By the command line of whoever listens; else the usual file that names the socket or the port."""
    kind, _, rest = endpoint.partition(":")
    if kind == "unix" and (named := _named_by_process(rest)) is not None:
        return named
    if kind == "tcp" and not Listen.parse(rest).is_loopback:
        return None
    for path in map(Path, _USUAL):
        options = parsed(_text(path))
        if kind == "unix" and options.get("LocalSocket", [""])[-1] == rest:
            return path
        if kind == "tcp" and options.get("TCPSocket", [""])[-1] == str(Listen.parse(rest).port):
            return path
    return None


def _named_by_process(path: str) -> Path | None:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_SECONDS)
            probe.connect(path)
            process, _, _ = _CREDENTIALS.unpack(
                probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
        if process <= 1:
            return None
        line = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
        at = Path(f"/proc/{process}/cwd")
    except OSError:
        return None
    for option, value in zip(line, [*line[1:], ""], strict=True):
        if option in ("-c", "--config-file"):
            return _readable(at / value)
        if option.startswith(("--config-file=", "-c")) and "=" in option:
            return _readable(at / option.partition("=")[2])
    return None


def _readable(path: Path) -> Path | None:
    try:
        resolved = path.resolve()
        return resolved if resolved.is_file() else None
    except OSError:
        return None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except OSError:
        return ""


def parsed(text: str) -> dict[str, list[str]]:
    """The options with their values, in their order (clamd.conf(5): one a line, `#` in front of a comment)."""
    options: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name and not name.startswith("#"):
            options.setdefault(name, []).append(value.strip().strip('"'))
    return options


def judged(endpoint: str, path: Path, options: Mapping[str, Sequence[str]], largest: int) -> Check:
    """What lets something pass unscanned is a failure where clamd would call it clean, and a warning where it is only
    looked at less closely, or held."""
    unscanned = list(_unscanned(options))
    closer = list(_looked_at_less(options, largest))
    name = f"{endpoint}: {path}"
    if unscanned or closer:
        text = "; ".join(why for why, _ in (*unscanned, *closer))
        lines = list({line.split(" ")[0]: line for _, line in (*closer, *unscanned)}.values())
        make = fail if unscanned else warn
        advice = f"put into {path}, then restart clamd: {'; '.join(lines)}"
        return make("scanner limits", f"{name}: {text}", advice, lines=lines)
    return ok("scanner limits", f"{name} lets nothing pass unscanned")


def _unscanned(options: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for option, right in _SWITCHES.items():
        if option == "AlertEncryptedArchive" and _is_on(options, "AlertEncrypted", default=False):
            continue
        if _is_on(options, option, default=False) is not (right == "yes"):
            yield f"{option} is {'no' if right == 'yes' else 'yes'}", f"{option} {right}"
    for option in sorted(_ON_BY_DEFAULT):
        if not _is_on(options, option, default=True):
            yield f"{option} is no", f"{option} yes"
    file, scan = _size(options, "MaxFileSize"), _size(options, "MaxScanSize")
    if file < scan:
        why = f"MaxFileSize ({_shown(file)}) is below MaxScanSize ({_shown(scan)}): large files in archives are cut off"
        yield why, f"MaxFileSize {_shown(scan)}"


def _looked_at_less(options: Mapping[str, Sequence[str]], largest: int) -> Iterator[tuple[str, str]]:
    enough = _shown(-(-largest // _MIB) * _MIB)
    if _is_on(options, "AlertOLE2Macros", default=False):
        yield "AlertOLE2Macros is yes", "AlertOLE2Macros no"
    for option, what in _SILENT.items():
        size = _size(options, option)
        if size < largest:
            yield f"{option} ({_shown(size)}): larger {what} are left out in part without a word", f"{option} {enough}"
    for option in ("MaxFileSize", "MaxScanSize", "StreamMaxLength"):
        size = _size(options, option)
        if size < largest:
            yield f"{option} ({_shown(size)}): larger attachments are held as not scanned", f"{option} {enough}"


def _is_on(options: Mapping[str, Sequence[str]], option: str, *, default: bool) -> bool:
    values = options.get(option)
    return values[-1].lower() in _TRUE if values else default


def _size(options: Mapping[str, Sequence[str]], option: str) -> int:
    """Bytes; 0 means as much as clamd can take, which is 2 GiB."""
    values = options.get(option)
    match = _SIZE.fullmatch(values[-1]) if values else None
    size = _DEFAULTS[option] if match is None else int(match[1]) * _UNITS[match[2].lower()]
    return size or 2 << 30


def _shown(size: int) -> str:
    return f"{size // _MIB}M" if size % _MIB == 0 else f"{size // 1024}K" if size % 1024 == 0 else str(size)
