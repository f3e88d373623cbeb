"""`mailgate scan`: what would happen to a message, and why. Nothing is kept, and no gateway has to run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mailgate.cli import output, parts
from mailgate.cli.judging import judging
from mailgate.model.decision import Action, Decision
from mailgate.model.defect import DEFECTS
from mailgate.model.envelope import Direction
from mailgate.model.errors import UserError
from mailgate.model.verdict import Inspection
from mailgate.policy.schema import RuleDirection

_STYLES = {Action.ACCEPT: "green", Action.REJECT: "bold red"}


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A message as it is stored, e.g. message.eml.")],
    tenant: Annotated[str, typer.Option(help="Judge by this tenant's policy.")] = "",
    sender: Annotated[str, typer.Option(help="The reverse-path, for rules that look at it.")] = "",
    recipient: Annotated[str, typer.Option(help="The forward-path, for rules that look at it.")] = "",
    direction: Annotated[
        RuleDirection,
        typer.Option(help="From outside (inbound), or by a user of the tenant: to others (outbound), to its own."),
    ] = RuleDirection.INBOUND,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Inspect a message as the gateway does, with the settings of the one that runs, and show every part, its verdict,
    and what the policy says. The sender's authentication (SPF, DKIM, DMARC) is not checked.

    Exit 0 where it would be accepted, 1 where not, 3 where no scanner answers."""
    from mailgate.inspect import worker
    from mailgate.ipc.inspect_calls import InspectLimits
    from mailgate.policy.evaluate import evaluate, findings
    from mailgate.policy.facts import Facts
    from mailgate.policy.loader import load

    raw = _read(file)
    by = judging()
    if not by.is_as_given:
        output.hint(f"judged by {by.told.text}")
    settings = by.settings
    policy = load(settings.policy_dir, settings.message_size_limit).for_tenant(tenant)
    limits = InspectLimits(depth=policy.limits.depth, parts=policy.limits.parts)
    # the account for our own child is not the gateway's to choose: we may be root, which it is not
    user = by.own.inspector_user
    inspection = worker.inspect_once(raw, limits, settings.clamd, user, settings.message_size_limit)
    facts = Facts(
        Direction.INBOUND if direction is RuleDirection.INBOUND else Direction.OUTBOUND,
        sender,
        (recipient,),
        len(raw),
        inspection,
        time.time(),
        hosted=frozenset({recipient}) if direction is RuleDirection.INTERNAL else frozenset(),
    )
    decision, found = evaluate(policy, facts), findings(policy, facts)
    if as_json:
        told = {"decision": decision, "findings": found, "inspection": inspection}
        output.emit_json({name: msgspec.to_builtins(value) for name, value in told.items()})
    else:
        _show(inspection, decision, found)
    if inspection.is_transient:
        raise typer.Exit(3)
    if decision.action is not Action.ACCEPT:
        raise typer.Exit(1)


def _read(file: Path) -> bytes:
    """With the line ends that it would have on the wire."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}. Name a file with one message") from None
    return raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")


def _show(inspection: Inspection, decision: Decision, findings: Sequence[Decision]) -> None:
    output.say(f"{decision.action}: {decision.reason}", _STYLES.get(decision.action, "yellow"))
    output.say(f"  by {decision.rule} (policy version {decision.policy_version})")
    places = {part.place for part in inspection.parts}
    others = [each for each in findings if each.rule != decision.rule and each.place not in places]
    for finding in others:
        output.say(f"  also {finding.action}: {finding.reason}, by {finding.rule}", "yellow")
    parts.show(msgspec.to_builtins(inspection.parts), indent=2, remarks=_remarks(findings))
    for name, listed in groupby(sorted(inspection.defects, key=lambda each: each.name), key=lambda each: each.name):
        where = ", ".join(defect.place or "the message" for defect in listed)
        output.say(f"  defect {name} at {where}: {DEFECTS[name].meaning}", "yellow")
    engine = f"{inspection.engine} {inspection.signatures}".rstrip()
    output.say(f"  scanned by {inspection.scanner} ({engine})" if inspection.scanner else "  scanned by nobody")


def _remarks(findings: Sequence[Decision]) -> dict[str, list[str]]:
    """What the policy says of each part, by its place."""
    said: dict[str, list[str]] = {}
    for finding in findings:
        grounds = [str(use) for use in finding.exceptions] or [f"{finding.action} by {finding.rule}"]
        known = said.setdefault(finding.place, [])
        known += [each for each in grounds if each not in known]
    return said
