"""Reads the suites that others published: YAML of SPF and ARC, JSON vectors; nothing where the folder is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from mailgate.model.dns import Answer, Mx, Status
from tests.support.components import SHARED

CONFORMANCE = SHARED / "conformance"

Case = dict[str, Any]


def vectors(name: str) -> list[Case]:
    path = CONFORMANCE / "vectors" / f"{name}.json"
    return list(json.loads(path.read_text())["cases"]) if path.exists() else []


def scenarios(path: str) -> Iterator[tuple[Case, str, Case]]:
    """Each test of a YAML suite: its section, its name, itself."""
    file = CONFORMANCE / path
    if file.exists():
        for section in filter(None, yaml.safe_load_all(file.read_text())):
            for name, case in section["tests"].items():
                yield section, name, case


@dataclass(frozen=True, slots=True)
class Texts:
    """A DNS of TXT records and addresses: `{"name": "text", "name A": "192.0.2.1"}`."""

    data: Mapping[str, str]

    async def txt(self, name: str) -> Answer[str]:
        return self._find(name)

    async def a(self, name: str) -> Answer[str]:
        return self._find(f"{name} A")

    async def aaaa(self, name: str) -> Answer[str]:
        return self._find(f"{name} AAAA")

    async def ptr(self, name: str) -> Answer[str]:
        return self._find(f"{name} PTR")

    async def mx(self, name: str) -> Answer[Mx]:
        return Answer(Status.NXDOMAIN)

    def _find(self, key: str) -> Answer[str]:
        return Answer(Status.FOUND, (self.data[key],)) if key in self.data else Answer(Status.NXDOMAIN)


class SpfZone:
    """`zonedata` of the SPF suite: entries such as `{"TXT": …}`; the word TIMEOUT stands for no answer."""

    def __init__(self, data: Mapping[str, list[Any]]) -> None:
        self._data = {name.lower().rstrip("."): entries for name, entries in data.items()}

    async def txt(self, name: str) -> Answer[str]:
        return self._find(name, "TXT")

    async def a(self, name: str) -> Answer[str]:
        return self._find(name, "A")

    async def aaaa(self, name: str) -> Answer[str]:
        return self._find(name, "AAAA")

    async def ptr(self, name: str) -> Answer[str]:
        return self._find(name, "PTR")

    async def mx(self, name: str) -> Answer[Mx]:
        found: Answer[Any] = self._find(name, "MX")
        hosts = tuple(Mx(preference, host.rstrip(".")) for preference, host in found.records)
        return Answer(found.status, hosts, reason=found.reason)

    def _find(self, name: str, kind: str, aliases: int = 0) -> Answer[Any]:
        entries = self._data.get(name.lower().rstrip("."))
        if entries is None:
            return Answer(Status.NXDOMAIN)
        # records of the old type SPF stand for TXT ones where there are none
        is_old = kind == "TXT" and not any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
        records = []
        is_silent = "TIMEOUT" in entries
        for entry in (entry for entry in entries if isinstance(entry, dict)):
            ((found, value),) = entry.items()
            if found == "CNAME" and aliases < 8:
                return self._find(value, kind, aliases + 1)
            if found != kind and not (found == "SPF" and is_old):
                continue
            if value == "TIMEOUT":
                is_silent = True
            elif value != "NONE":
                records.append("".join(value) if kind == "TXT" and isinstance(value, list) else value)
        if records:
            return Answer(Status.FOUND, tuple(records))
        return Answer(Status.FAILED, reason="time-out") if is_silent else Answer(Status.NO_DATA)
