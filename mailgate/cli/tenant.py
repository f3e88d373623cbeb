"""`mailgate tenant ...`: tenants and the domains that they host."""

from __future__ import annotations

from typing import Annotated

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin
from mailgate.model.errors import UnavailableError

app = typer.Typer(help="Tenants and the domains that they host.", no_args_is_help=True)
domain_app = typer.Typer(help="The domains of a tenant.", no_args_is_help=True)
app.add_typer(domain_app, name="domain")

Name = Annotated[str, typer.Argument(help="The tenant's name, as in policies/tenants/NAME.toml.")]
Domain = Annotated[str, typer.Argument(help="A domain name, for example acme.example.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A short name: a-z, 0-9 and '-'.")],
    domain: Annotated[list[str] | None, typer.Option(help="A domain that it hosts; may be repeated.")] = None,
    postmaster: Annotated[str, typer.Option(help="Who reads mail to postmaster@ and abuse@ its domains.")] = "",
) -> None:
    """Make a tenant with a database, a mail folder and a key of its own."""
    tenant = admin().call("tenant.add", name=name, domains=domain or [], postmaster=postmaster)
    hosted = ", ".join(tenant["domains"]) or "no domain yet"
    output.done(f"tenant {tenant['name']} added ({hosted})")
    if not postmaster:
        output.say(
            "mail to postmaster@ and abuse@ its domains goes to its administrators, to the operator while there "
            f"are none; `mailgate alias add {tenant['name']} postmaster@DOMAIN ADDRESS` names somebody else"
        )


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the tenants, the oldest first."""
    tenants = admin().call("tenant.list")
    if as_json:
        output.emit_json(tenants)
        return
    rows = [(t["name"], t["state"], " ".join(t["domains"]), output.moment(t["created_at"])) for t in tenants]
    output.table(("tenant", "state", "domains", "created"), rows)


@app.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one tenant, and whether its database and its key can be read."""
    facts = admin().call("tenant.show", name=name)
    if as_json:
        output.emit_json(facts)
        return
    shown = facts | {"domains": " ".join(facts["domains"]), "created_at": output.moment(facts["created_at"])}
    output.table(("what", "value"), [(key.replace("_", " "), value) for key, value in shown.items()])


@app.command("migrate")
def migrate(name: Annotated[str, typer.Argument(help="Only this tenant.")] = "") -> None:
    """Bring the databases of all tenants to the form of this release, one after the other, instead of when each is
    needed first. May be stopped and given again: those that are done are passed over. Exit 1 where one can't be."""
    gateway = admin()
    names = [name] if name else [tenant["name"] for tenant in gateway.call("tenant.list")]
    failed = 0
    for number, each in enumerate(names, 1):
        try:
            output.say(f"{number}/{len(names)} {each}: revision {gateway.call('tenant.migrate', name=each)}")
        except UnavailableError as error:
            failed += 1
            output.fail(f"{number}/{len(names)} {each}: {error}")
    if failed:
        raise typer.Exit(1)


@app.command("disable")
def disable(name: Name) -> None:
    """Refuse mail for the tenant (550 5.2.1) and logins of its users. Nothing is deleted."""
    admin().call("tenant.disable", name=name)
    output.done(f"tenant {name} disabled; its data stay as they are")


@app.command("enable")
def enable(name: Name) -> None:
    """Take the tenant's mail and logins again."""
    admin().call("tenant.enable", name=name)
    output.done(f"tenant {name} enabled")


@app.command("remove")
def remove(
    name: Name,
    confirm: Annotated[str, typer.Option(help="The tenant's name once more, instead of being asked for it.")] = "",
) -> None:
    """Delete a disabled tenant for good: its people, keys, mailboxes with all mail, and mail on its way.

    First `mailgate directory export`, and copy the mailboxes' folders. The gateway's audit log keeps the fact."""
    output.ask_again(f"All mail and data of tenant {name} will be deleted", "name", name, confirm)
    removed = admin().call("tenant.remove", name=name)
    output.done(f"tenant {name} removed, with all its mailboxes and {removed['messages']} messages on record")
    output.say(f"if there is a file tenants/{name}.toml in the policy folder, remove it too")


@domain_app.command("add")
def add_domain(name: Name, domain: Domain) -> None:
    """Host one more domain for the tenant."""
    output.done(f"domain {admin().call('tenant.domain.add', tenant=name, domain=domain)} added to tenant {name}")


@domain_app.command("remove")
def remove_domain(name: Name, domain: Domain) -> None:
    """Host a domain no more; refused while the tenant has addresses there."""
    output.done(f"domain {admin().call('tenant.domain.remove', tenant=name, domain=domain)} removed from tenant {name}")
