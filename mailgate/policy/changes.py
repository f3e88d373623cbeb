"""What a new version of the policies changes for one tenant. Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from mailgate.policy.effective import EffectivePolicy

_OF_THE_VERSION = frozenset({"version", "sources"})  # of no effect by themselves


def changes(before: EffectivePolicy, after: EffectivePolicy) -> dict[str, dict[str, Any]]:
    """By key, e.g. `limits.message_size`: {"before", "after"}, plain JSON values. Lists (of rules …) as a whole."""
    old, new = dict(_keys(before)), dict(_keys(after))
    return {
        key: {"before": old.get(key), "after": new.get(key)}
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }


def _keys(policy: EffectivePolicy) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(policy):
        if field.name not in _OF_THE_VERSION:
            yield from _flat(field.name, _plain(getattr(policy, field.name)))


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield key, value
        return
    for name, inner in value.items():
        yield from _flat(f"{key}.{name}", inner)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, enum.Enum):
        return value.value
    return value if isinstance(value, str | int | float | bool | None) else str(value)
