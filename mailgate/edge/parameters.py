"""Pure: parameters of MAIL and RCPT (RFC 5321 section 4.1.1.11, RFC 1870, RFC 3461, RFC 6152, RFC 6531,
RFC 8689)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from mailgate.dsn import xtext
from mailgate.dsn.parameters import parse_envid, parse_notify, parse_orcpt, parse_ret
from mailgate.edge import replies
from mailgate.model.address import (
    Address,
    AddressError,
    parse_forward_path,
    parse_outside_path,
    parse_reverse_path,
    take_bare_path,
    take_path,
)
from mailgate.model.errors import Refusal
from mailgate.model.reply import Reply

Path_ = TypeVar("Path_")
Value = TypeVar("Value")

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class MailCommand:
    """`reverse_path` is None for `<>`; `size` is the declared one in bytes, 0 where not declared. `ret`, `envid` as in
    model.envelope.Envelope."""

    reverse_path: Address | None
    size: int = 0
    body: Literal["7BIT", "8BITMIME"] = "7BIT"
    smtputf8: bool = False
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""
    requiretls: bool = False


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """`notify`, `orcpt` as in model.envelope.Recipient."""

    forward_path: Address
    notify: tuple[str, ...] = ()
    orcpt: str = ""


def parse_mail(
    argument: bytes,
    is_extended: bool,
    offers_dsn: bool = False,
    offers_requiretls: bool = False,
    is_own: bool = False,
) -> MailCommand:
    """`FROM:<path> parameters`; raises Refusal with the reply to give. `is_own`: the client has logged in, or is a
    server of a tenant's; such a one may leave the brackets out."""
    path, rest = _split(argument, "FROM:", replies.bad_sender, is_own)
    known = {"SIZE", "BODY", "SMTPUTF8", "AUTH"}
    known |= {"RET", "ENVID"} if offers_dsn else set()
    known |= {"REQUIRETLS"} if offers_requiretls else set()
    given = _parameters(rest, known if is_extended else set())
    command = MailCommand(
        reverse_path=_parsed(path, parse_reverse_path, replies.bad_sender),
        size=_size(given.get("SIZE", "0")),
        body=_body(given.get("BODY", "7BIT")),
        smtputf8="SMTPUTF8" in given,
        ret=_checked(given, "RET", parse_ret, ""),
        envid=_checked(given, "ENVID", parse_envid, ""),
        requiretls="REQUIRETLS" in given,
    )
    _checked(given, "AUTH", _check_auth, None)
    if given.get("SMTPUTF8") is not None or given.get("REQUIRETLS") is not None:
        raise Refusal(replies.SYNTAX)
    _check_utf8(path, command.smtputf8)
    return command


def parse_rcpt(
    argument: bytes, is_extended: bool, smtputf8: bool, offers_dsn: bool = False, is_own: bool = False
) -> RcptCommand:
    """`TO:<path> parameters`; raises Refusal with the reply to give. `is_own` as above; the path may then be one that
    only another server can read (`parse_outside_path`)."""
    path, rest = _split(argument, "TO:", replies.bad_recipient, is_own)
    given = _parameters(rest, {"NOTIFY", "ORCPT"} if offers_dsn and is_extended else set())
    _check_utf8(path, smtputf8)
    return RcptCommand(
        _parsed(path, parse_outside_path if is_own else parse_forward_path, replies.bad_recipient),
        notify=_checked(given, "NOTIFY", parse_notify, ()),
        orcpt=_checked(given, "ORCPT", lambda value: parse_orcpt(value, smtputf8), ""),
    )


def _split(argument: bytes, keyword: str, bad: Callable[[str], Reply], is_own: bool) -> tuple[str, str]:
    try:
        text = argument.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(bad("not valid UTF-8")) from None
    if text[: len(keyword)].upper() != keyword:
        raise Refusal(replies.SYNTAX)
    try:
        path, rest = (take_bare_path if is_own else take_path)(text[len(keyword) :].lstrip(" "))
    except AddressError as error:
        raise Refusal(bad(str(error))) from None
    if rest and not rest.startswith(" "):
        raise Refusal(replies.SYNTAX)
    return path, rest


def _parsed(path: str, parse: Callable[[str], Path_], bad: Callable[[str], Reply]) -> Path_:
    try:
        return parse(path)
    except AddressError as error:
        raise Refusal(bad(str(error))) from None


def _check_utf8(path: str, smtputf8: bool) -> None:
    if not smtputf8 and not path.isascii():
        raise Refusal(replies.UTF8_NOT_ASKED)


def _parameters(text: str, known: set[str]) -> Mapping[str, str | None]:
    given: dict[str, str | None] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise Refusal(replies.SYNTAX)
        name = match[1].upper()
        if name not in known:
            raise Refusal(replies.BAD_PARAMETER)
        if name in given:
            raise Refusal(replies.DUPLICATE_PARAMETER)
        given[name] = match[2]
    return given


def _checked(given: Mapping[str, str | None], name: str, parse: Callable[[str], Value], absent: Value) -> Value:
    """The parameter's value; a parameter without one is a syntax error."""
    if name not in given:
        return absent
    try:
        return parse(given[name] or "")
    except ValueError:
        raise Refusal(replies.SYNTAX) from None


def _check_auth(value: str) -> None:
    """RFC 4954 section 5. Whom a client names there counts for nothing: who sends is known from the login alone."""
    if not xtext.decode(value):
        raise ValueError("AUTH is empty")


def _size(value: str | None) -> int:
    if value is None or not _SIZE.fullmatch(value):
        raise Refusal(replies.SYNTAX)
    return int(value)


def _body(value: str | None) -> Literal["7BIT", "8BITMIME"]:
    match (value or "").upper():
        case "7BIT":
            return "7BIT"
        case "8BITMIME":
            return "8BITMIME"
    raise Refusal(replies.SYNTAX)
