"""`mailgate policy`: check, explain and describe policy files. Works without a running gateway."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from mailgate import settings as settings_module
from mailgate.cli import output
from mailgate.model.errors import UserError
from mailgate.ops import tenant_check
from mailgate.policy import explain, reference
from mailgate.policy.expired import expired
from mailgate.policy.loader import PolicyErrors, load
from mailgate.policy.snapshot import Snapshot
from mailgate.policy.strangers import strangers

app = typer.Typer(help="Check, explain and describe policy files.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="Policy folder; the setting POLICY_DIR where not given.")
]


@app.command()
def check(folder: Folder = None) -> None:
    """List every error with file and line, exit code 1 where there is one; and every exception that has expired."""
    snapshot = _load(folder)
    today = datetime.datetime.now(datetime.UTC).date()
    for remark in expired(folder or settings_module.load().policy_dir, snapshot, today):
        output.say(f"warning: {remark}", "yellow")
    warn_of_strangers(folder, snapshot)
    output.done(f"The policies are valid: version {snapshot.version}, tenants with a file: {len(snapshot.tenants)}")


@app.command("explain")
def explain_(
    folder: Folder = None,
    tenant: Annotated[str, typer.Option(help="Tenant; without it, what holds for tenants that have no file.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every value that holds for a tenant, the file it comes from, and the rules in their order."""
    policy = _load(folder).for_tenant(tenant)
    if as_json:
        output.emit_json(explain.document(policy))
        return
    output.table(("key", "value", "from"), [(row.key, row.shown, row.source) for row in explain.values(policy)])
    output.say("")
    output.table(
        ("attachment rule, in order", "action", "conditions"),
        [(rule.label, rule.action, explain.conditions_text(rule)) for rule in policy.rules],
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of gateway.toml and tenants/<tenant>.toml, for editors."""
    output.emit_json(reference.json_schema())


@app.command("reference")
def reference_() -> None:
    """Print the reference of all keys (Markdown)."""
    typer.echo(reference.markdown(), nl=False)


def warn_of_strangers(folder: Path | None, snapshot: Snapshot) -> None:
    """Files that are for no tenant of this machine's."""
    settings = settings_module.load()
    tenants = tenant_check.names(settings.data_dir)
    for remark in strangers(folder or settings.policy_dir, snapshot, tenants) if tenants is not None else ():
        output.say(f"warning: {remark}", "yellow")


def _load(folder: Path | None) -> Snapshot:
    """The snapshot, or the end of the command: 1 for invalid policies, 2 for wrong use."""
    try:
        settings = settings_module.load()
        chosen = folder or settings.policy_dir
        if not chosen.is_dir():
            raise UserError(f"{chosen} is not a folder; name the policy folder or set MAILGATE_POLICY_DIR")
        return load(chosen, settings.message_size_limit)
    except PolicyErrors as errors:
        for problem in errors.problems:
            output.say(str(problem), "red")
        output.fail(f"{len(errors.problems)} errors in the policies")
        raise typer.Exit(1) from None
    except UserError as error:
        output.fail(str(error))
        raise typer.Exit(2) from None
