"""Errors that carry what the peer may read apart from what only the operator may."""

from __future__ import annotations

from mailgate.model.reply import Reply


class MailgateError(Exception):
    """Base of all errors of the gateway's own; str(error) is for operators, never for peers."""


class UserError(MailgateError):
    """Wrong input by a person: the text says what is wrong, where, and what to do. Command line exit code 2."""


class NotFoundError(MailgateError):
    """The thing asked for does not exist. Command line exit code 1."""


class ConflictError(MailgateError):
    """What is asked for contradicts what is there: it exists already, or is still in use. Command line exit code 1."""


class UnavailableError(MailgateError):
    """A process or component can't be reached now. Command line exit code 3; on the edge 451."""


class DamagedError(UnavailableError):
    """A kept content is not what was accepted, or can't be read any more: until it is restored it goes nowhere."""


class Refusal(MailgateError):
    """An SMTP step refuses: `reply` is what the peer reads, `cause` what the log says."""

    def __init__(self, reply: Reply, cause: str = "") -> None:
        super().__init__(cause or str(reply))
        self.reply = reply
        self.cause = cause
