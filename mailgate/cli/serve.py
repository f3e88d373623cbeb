"""`mailgate serve`: run the gateway in the foreground."""

from __future__ import annotations

from mailgate import app, settings


def run() -> None:
    """Run the gateway until SIGTERM (drains first); SIGHUP reloads policies and certificates."""
    app.serve(settings.load())
