"""`mailgate clock`: is the machine's time right? While it is in doubt nothing is deleted for its age."""

from __future__ import annotations

import typer

from mailgate.cli import output
from mailgate.cli.choosing import AsJson
from mailgate.cli.connection import admin

app = typer.Typer(help="Is the machine's time right? While it is in doubt nothing is deleted.", no_args_is_help=True)


@app.command()
def show(as_json: AsJson = False) -> None:
    """The time, and since when it is in doubt."""
    found = admin().call("clock.show")
    if as_json:
        output.emit_json(found)
    elif found["doubted_since"] is None:
        output.say(f"{output.moment(found['now'])}; nothing is in doubt")
    else:
        output.say(
            f"{output.moment(found['now'])}; in doubt since {output.moment(found['doubted_since'])}: it is "
            f"{found['shift']:+.0f} seconds from where it was. Nothing is deleted for its age. Set it right; "
            "if it is right: mailgate clock confirm"
        )


@app.command()
def confirm() -> None:
    """The time is right as it is: what is too old is deleted again."""
    found = admin().call("clock.confirm")
    if found["doubted_since"] is None:
        output.say("nothing was in doubt")
    else:
        output.say(f"confirmed: it is {output.moment(found['now'])}")
