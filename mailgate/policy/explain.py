"""Which value holds for a tenant, and which file gives it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.exceptions import Exemption
from mailgate.policy.rules import Rule
from mailgate.policy.values import format_size


@dataclass(frozen=True, slots=True)
class Row:
    """`key` as in decisions, `value` a plain JSON value, `source` a file below the policy folder or `built-in`."""

    key: str
    value: str | int
    source: str

    @property
    def shown(self) -> str:
        return (
            format_size(self.value) if isinstance(self.value, int) and self.key.endswith("_size") else str(self.value)
        )


def values(policy: EffectivePolicy) -> tuple[Row, ...]:
    """All values but the rules, in the order of the reference."""
    return tuple(Row(key, value, policy.source(key)) for key, value in _flat(policy))


def conditions(rule: Rule) -> dict[str, Any]:
    """What a rule asks for, as its file writes it."""
    given = rule.settings.model_dump(mode="json", exclude_unset=True)
    return {key: value for key, value in given.items() if key not in ("name", "action", "reply")}


def conditions_text(rule: Rule) -> str:
    """`class executable or script; larger_than 10 MiB`."""
    return "; ".join(f"{key} {_condition(key, value)}" for key, value in conditions(rule).items())


def document(policy: EffectivePolicy) -> dict[str, Any]:
    """All of it as JSON values, for programs."""
    return {
        "version": policy.version,
        "values": [{"key": row.key, "value": row.value, "source": row.source} for row in values(policy)],
        "attachments": [
            {"rule": rule.label, "action": rule.action.value, "conditions": conditions(rule)} for rule in policy.rules
        ],
        "attachment_exceptions": [_exemption(each) for each in policy.attachment_exemptions],
        "scanner_exceptions": [_exemption(each) for each in policy.scanner_exemptions],
        "exceptions": [each.model_dump(mode="json", exclude_unset=True) for each in policy.exceptions],
        "routes": [route.model_dump(mode="json", exclude_unset=True) for route in policy.routes],
        "certificates": [each.model_dump(mode="json", exclude_unset=True) for each in policy.sending.certificates],
        "inbound": [route.model_dump(mode="json", exclude_unset=True) for route in policy.inbound],
    }


def _exemption(exemption: Exemption) -> dict[str, Any]:
    return {"exception": exemption.label, **exemption.settings.model_dump(mode="json", exclude_unset=True)}


_SECTIONS = (
    *("unscanned", "authentication", "transport", "sending", "mta_sts", "signing", "dmarc_reports", "postmaster"),
    *("quarantine", "passwords", "submission", "mailboxes", "addresses", "retention"),
)


def _flat(policy: EffectivePolicy) -> Iterator[tuple[str, str | int]]:
    yield "language", policy.language
    for name, value in policy.limits:
        yield f"limits.{name}", value
    yield "scanning.infected", policy.infected.value
    yield "scanning.suspicious", policy.suspicious.value
    yield "scanning.scanner_down", policy.scanner_down.value
    for section in _SECTIONS:
        for name, value in getattr(policy, section):
            if not isinstance(value, dict) and name != "certificates":
                yield f"{section}.{name}", _plain(value)
    yield "sending.certificates", ", ".join(each.name for each in policy.sending.certificates)
    for pattern, wanted in sorted(policy.transport.classes.items()):
        yield f"transport.classes.{pattern}", wanted.value
    for name, action in sorted(policy.defects.items()):
        yield f"defects.{name}", action.value


def _plain(value: Any) -> str | int:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else value


def _condition(key: str, value: Any) -> str:
    if key == "larger_than":
        return format_size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " or ".join(value) if isinstance(value, list) else str(value)
