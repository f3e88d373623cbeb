"""`mailgate` and `python -m mailgate`: a command of the operator's, or one process that the supervisor started."""

from __future__ import annotations

import os
import sys


def _forget_working_directory() -> None:
    """`python -m` looks for modules in the working directory first, which may be anybody's, unless we lie in it."""
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib would be looked for there
    except OSError:  # it was removed
        return
    if not sys.flags.safe_path and sys.path[:1] == [here] and not __file__.startswith(f"{here}/mailgate/"):
        del sys.path[0]


def main() -> None:
    """Each imports its own only: an inspector must not carry the databases, nor start as slowly as they load."""
    _forget_working_directory()
    os.umask(0o077)  # whatever is made from here on is for our own account alone
    if len(sys.argv) > 1 and sys.argv[1].startswith("_"):
        from mailgate.ops import roles

        sys.exit(roles.main(sys.argv[1:]))
    from mailgate.cli.main import run

    run()


if __name__ == "__main__":
    main()
