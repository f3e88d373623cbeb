"""By which settings the set-up is judged: those of the gateway that runs, which a shell need not have."""

from __future__ import annotations

from dataclasses import dataclass

from mailgate.cli import connection
from mailgate.model.errors import MailgateError
from mailgate.ops import checks, layout
from mailgate.settings import PREFIX, Settings, load, of_variables

NAME = "judged by"
OF_THE_COMMAND = frozenset(f"{PREFIX}{name}" for name in ("ADMIN_SOCKET", "OPERATOR_KEY", "PASSWORD_FILE"))
"""How a command reaches the gateway: no difference that anybody has to know of."""


@dataclass(frozen=True, slots=True)
class Judging:
    """`own`: what this command was given. `settings`: by which to judge; `told`: whose they are, and what differs."""

    own: Settings
    settings: Settings
    told: checks.Check

    @property
    def is_as_given(self) -> bool:
        """The gateway runs with what this command was given."""
        return self.told.facts.get("differ") == []


def judging() -> Judging:
    """Never waits long for a gateway. UserError where this command's own settings are wrong: they say where it runs."""
    own = load()
    if not connection.is_running(own):
        asked = own.admin_path.absolute()
        if layout.holder(own.data_dir) is not None:
            return _by_own(own, f"no answer on {asked}", "set MAILGATE_ADMIN_SOCKET as the gateway has it")
        text = f"this command's settings, since no gateway answers on {asked}"
        return Judging(own, own, checks.ok(NAME, text))
    if connection.is_user():
        return _by_own(own, "it tells its settings to operators only", "leave --as away")
    try:
        settings = of_variables(connection.admin(own, connection.PATIENCE).call("settings.show"))
    except MailgateError as error:
        advice = "give the command as an operator (--operator-key FILE); restart a gateway of an older version"
        return _by_own(own, " ".join(str(error).split()), advice)
    differ = differing(own, settings)
    text = "the running gateway's settings" + (f"; this command's differ: {', '.join(differ)}" if differ else "")
    return Judging(own, settings, checks.ok(NAME, text, differ=differ))


def differing(one: Settings, other: Settings) -> list[str]:
    """The names of the variables, sorted; paths are compared as seen from the working directory."""
    ours, theirs = one.absolute().variables(), other.absolute().variables()
    return sorted(name for name in (ours.keys() | theirs.keys()) - OF_THE_COMMAND if ours.get(name) != theirs.get(name))


def _by_own(own: Settings, reason: str, advice: str) -> Judging:
    text = f"this command's settings, which may not be the running gateway's: it can't be asked ({reason})"
    return Judging(own, own, checks.warn(NAME, text, advice))
