"""From the policy folder to a snapshot, or to a list of all that is wrong with it."""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mailgate.policy.effective import GATEWAY_FILE, EffectivePolicy, effective_policy, loosened
from mailgate.policy.problems import PolicyErrors, Problem, is_told_already, place, wording
from mailgate.policy.schema import GatewayPolicy, TenantPolicy, built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.policy.toml_lines import TomlLines
from mailgate.policy.values import format_size

__all__ = ["PolicyErrors", "Problem", "load"]

LARGEST_FILE = 4 << 20  # bytes

_TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_TABLE_NAME = re.compile(r"\(('[^()]*'),?\)")
_P = TypeVar("_P", bound=TenantPolicy)


def load(policy_dir: Path, message_size_limit: int) -> Snapshot:
    """Reads `gateway.toml` and `tenants/*.toml`. `message_size_limit` in bytes is the bound that the settings give.
    Raises PolicyErrors with every problem of every file."""
    reader = _Reader()
    base = built_in(message_size_limit)
    gateway_file = policy_dir / GATEWAY_FILE
    gateway = reader.read(gateway_file, GatewayPolicy)
    tenants = {file: reader.read(file, TenantPolicy) for file in reader.tenant_files(policy_dir / "tenants")}
    own = {file: policy for file, policy in tenants.items() if policy is not None}
    if gateway is not None:
        reader.check_setting(gateway_file, gateway, message_size_limit)
        bounds = effective_policy("", base, gateway)
        for file, policy in own.items():
            reader.check_bounds(file, policy, bounds)
    if reader.problems or gateway is None:
        raise PolicyErrors(reader.problems)
    return Snapshot(built_in=base, gateway=gateway, tenants={file.stem: policy for file, policy in own.items()})


def _content(file: Path) -> bytes:
    """OSError for what is no file (a pipe would never end), and for what is too large to be a policy."""
    with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Is not a regular file")
        content = opened.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"Is larger than {LARGEST_FILE >> 20} MiB")
    return content


class _Reader:
    """Reads files and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._texts: dict[Path, str] = {}

    def read(self, file: Path, schema: type[_P]) -> _P | None:
        """None where something is wrong with the file."""
        try:
            self._texts[file] = text = _content(file).decode("utf-8-sig").replace("\r\n", "\n")
            return self._validated(file, text, schema)
        except OSError as error:
            self._add(file, 1, _unreadable(error))
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            self._add(file, line, "is not UTF-8; save the file as UTF-8 text")
        except tomllib.TOMLDecodeError as error:
            self._add(file, *_syntax_problem(str(error), text))
        except RecursionError:
            self._add(file, 1, "is nested too deeply; policies need two levels")
        return None

    def tenant_files(self, folder: Path) -> list[Path]:
        """Sorted; a folder that is not there holds none. Hidden files (of editors) are passed over."""
        try:
            found = [file for file in folder.iterdir() if file.suffix == ".toml" and not file.name.startswith(".")]
        except FileNotFoundError:
            return []
        except OSError as error:
            self._add(folder, 1, _unreadable(error))
            return []
        for file in found:
            if _TENANT_NAME.fullmatch(file.stem) is None:
                self._add(file, 1, "is not named after a tenant; use small letters, digits and hyphens, then .toml")
        return sorted(found)

    def check_setting(self, file: Path, gateway: GatewayPolicy, message_size_limit: int) -> None:
        """The setting bounds the policy, since buffers and the scanner are set up by it."""
        size = gateway.limits.message_size
        if "message_size" in gateway.limits.model_fields_set and size > message_size_limit:
            self._add_at(
                file,
                "limits.message_size",
                f"{format_size(size)} is more than the setting MAILGATE_MESSAGE_SIZE_LIMIT allows "
                f"({format_size(message_size_limit)}); lower the one or raise the other",
            )

    def check_bounds(self, file: Path, own: TenantPolicy, gateway: EffectivePolicy) -> None:
        """A tenant may only be stricter than the gateway."""
        for key, wanted, bound in loosened(gateway, own):
            shown = [format_size(value) if key.endswith("_size") else str(value) for value in (wanted, bound)]
            self._add_at(
                file,
                key,
                f"{shown[0]} is less strict than the gateway's {shown[1]}, which binds every tenant; "
                "choose a stricter value or remove the line",
            )

    def _validated(self, file: Path, text: str, schema: type[_P]) -> _P | None:
        content = tomllib.loads(text)
        try:
            return schema.model_validate(content)
        except ValidationError as error:
            lines = TomlLines(text)
            for item in error.errors():
                if is_told_already(item):
                    continue
                self._add(file, lines.line(place(item)), wording(item, schema))
            return None

    def _add_at(self, file: Path, key: str, text: str) -> None:
        line = TomlLines(self._texts[file]).line(tuple(key.split(".")))
        self._add(file, line, f"{key}: {text}")

    def _add(self, file: Path, line: int, text: str) -> None:
        self.problems.append(Problem(str(file), line, text))


def _unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; create it (an empty one takes every default)"
    return f"can't be read: {error.strerror or error}; check what it is and its permissions"


def _syntax_problem(message: str, text: str) -> tuple[int, str]:
    """Line and text for what `tomllib` says."""
    position = _AT_LINE.search(message)
    line = int(position[1]) if position else text.rstrip().count("\n") + 1
    column = f" in column {position[2]}" if position else ""
    what = _AT_LINE.sub("", message).removesuffix(" (at end of document)")
    what = _TABLE_NAME.sub(lambda found: "[" + found[1].replace("', '", ".").strip("'") + "]", what)
    return line, f"not valid TOML{column}: {what[:1].lower()}{what[1:]}; correct the line (see https://toml.io)"
