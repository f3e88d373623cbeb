from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge import replies
from mailgate.edge.parameters import MailCommand, RcptCommand, parse_mail, parse_rcpt
from mailgate.model.address import Address
from mailgate.model.errors import Refusal

SENDER = Address("a", "b.example")


@pytest.mark.parametrize(
    ("argument", "command"),
    [
        (b"FROM:<a@b.example>", MailCommand(SENDER)),
        (b"from: <a@b.example>", MailCommand(SENDER)),
        (b"FROM:<>", MailCommand(None)),
        (b"FROM:<a@b.example> SIZE=1000 BODY=8BITMIME", MailCommand(SENDER, 1000, "8BITMIME")),
        (b"FROM:<a@b.example>  body=7bit  smtputf8", MailCommand(SENDER, smtputf8=True)),
        ("FROM:<é@b.example> SMTPUTF8".encode(), MailCommand(Address("é", "b.example"), smtputf8=True)),
        (b"FROM:<a@b.example> AUTH=<>", MailCommand(SENDER)),
        (b"FROM:<a@b.example> AUTH=e+3Dmc2@b.example", MailCommand(SENDER)),
        (b"FROM:<a@b.example> SIZE=" + b"0" * 19 + b"5", MailCommand(SENDER, 5)),
    ],
)
def test_mail(argument: bytes, command: MailCommand) -> None:
    assert parse_mail(argument, is_extended=True) == command


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        (b"", 501),
        (b"<a@b.example>", 501),
        (b"TO:<a@b.example>", 501),
        (b"FROM:a@b.example", 501),
        (b"FROM:<a@b.example>SIZE=3", 501),
        (b"FROM:<a@b.example> garbage", 555),
        (b"FROM:<a@b.example>>", 501),
        (b"FROM:<a@b.example> FOO=BAR", 555),
        (b"FROM:<a@b.example> SIZE=-1", 501),
        (b"FROM:<a@b.example> SIZE=+5", 501),
        (b"FROM:<a@b.example> SIZE=abc", 501),
        (b"FROM:<a@b.example> SIZE", 501),
        (b"FROM:<a@b.example> SIZE=" + b"9" * 21, 501),
        ("FROM:<a@b.example> SIZE=²".encode(), 501),
        (b"FROM:<a@b.example> SIZE=1 SIZE=2", 501),
        (b"FROM:<a@b.example> BODY=BINARYMIME", 501),
        (b"FROM:<a@b.example> BODY", 501),
        (b"FROM:<a@b.example> SMTPUTF8=1", 501),
        (b"FROM:<a\xc0\xafb@b.example> SMTPUTF8", 501),
        (b"FROM:<\xff@b.example>", 501),
        ("FROM:<é@b.example>".encode(), 553),
        (b"FROM:<a@b.example> RET=FULL", 555),
        (b"FROM:<a@b.example> AUTH", 501),
        (b"FROM:<a@b.example> AUTH=", 501),
        (b"FROM:<a@b.example> AUTH=a+3d", 501),
        (b"FROM:<a@b.example> SIZE==5", 501),
        (b"FROM:<a@b.example> SIZE= 5", 501),
        (b"FROM:<a@b.example> =5", 501),
        (b"FROM:<a@b.example>\tSIZE=5", 501),
        (b"FROM:< >", 501),
        (b"FROM :<a@b.example>", 501),
        (b"FROM:<a@b.example> <c@d.example>", 501),
    ],
)
def test_bad_mail(argument: bytes, code: int) -> None:
    with pytest.raises(Refusal) as refused:
        parse_mail(argument, is_extended=True)
    assert refused.value.reply.code == code


def test_parameters_need_ehlo() -> None:
    with pytest.raises(Refusal) as refused:
        parse_mail(b"FROM:<a@b.example> SIZE=3", is_extended=False)
    assert refused.value.reply == replies.BAD_PARAMETER


def test_rcpt() -> None:
    assert parse_rcpt(b"TO:<a@b.example>", True, False) == RcptCommand(SENDER)
    with pytest.raises(Refusal) as refused:
        parse_rcpt("TO:<é@b.example>".encode(), True, False)
    assert refused.value.reply == replies.UTF8_NOT_ASKED
    assert parse_rcpt("TO:<é@b.example>".encode(), True, True).forward_path.local == "é"


@pytest.mark.parametrize(
    ("argument", "command"),
    [
        (b"FROM:<a@b.example> RET=hdrs", MailCommand(SENDER, ret="HDRS")),
        (b"FROM:<a@b.example> ENVID=x+2B7 RET=FULL", MailCommand(SENDER, ret="FULL", envid="x+2B7")),
        (b"FROM:<> ENVID=" + b"x" * 100, MailCommand(None, envid="x" * 100)),
    ],
)
def test_dsn_parameters_of_mail(argument: bytes, command: MailCommand) -> None:
    assert parse_mail(argument, is_extended=True, offers_dsn=True) == command


@pytest.mark.parametrize(
    ("argument", "command"),
    [
        (b"TO:<a@b.example> NOTIFY=never", RcptCommand(SENDER, ("NEVER",))),
        (b"TO:<a@b.example> NOTIFY=DELAY,FAILURE", RcptCommand(SENDER, ("FAILURE", "DELAY"))),
        (b"TO:<a@b.example> ORCPT=rfc822;A+2Bx@b.example", RcptCommand(SENDER, (), "rfc822;A+2Bx@b.example")),
        ("TO:<a@b.example> ORCPT=utf-8;é@b.example".encode(), RcptCommand(SENDER, (), "utf-8;é@b.example")),
        (
            b"TO:<a@b.example> ORCPT=rfc822;" + b"x" * 493 + b" NOTIFY=SUCCESS",
            RcptCommand(SENDER, ("SUCCESS",), "rfc822;" + "x" * 493),
        ),
    ],
)
def test_dsn_parameters_of_rcpt(argument: bytes, command: RcptCommand) -> None:
    assert parse_rcpt(argument, is_extended=True, smtputf8=True, offers_dsn=True) == command


@pytest.mark.parametrize(
    "parameter",
    [b"RET", b"RET=", b"RET=BODY", b"RET=FULL RET=FULL", b"ENVID", b"ENVID=a+b", b"ENVID=+0A", b"ENVID=" + b"x" * 101],
)
def test_bad_dsn_parameters_of_mail(parameter: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        parse_mail(b"FROM:<a@b.example> " + parameter, is_extended=True, offers_dsn=True)
    assert refused.value.reply.code == 501


@pytest.mark.parametrize(
    "parameter",
    [
        b"NOTIFY",
        b"NOTIFY=ALL",
        b"NOTIFY=NEVER,DELAY",
        b"NOTIFY=NEVER NOTIFY=NEVER",
        b"ORCPT=a@b.example",
        b"ORCPT=rfc822;a=b",
        b"ORCPT=rfc822;a+0D",
        b"ORCPT=rfc822;" + b"x" * 494,
        "ORCPT=utf-8;é@b.example".encode(),
    ],
)
def test_bad_dsn_parameters_of_rcpt(parameter: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        parse_rcpt(b"TO:<a@b.example> " + parameter, is_extended=True, smtputf8=False, offers_dsn=True)
    assert refused.value.reply.code == 501


@pytest.mark.parametrize(("is_extended", "offers_dsn"), [(True, False), (False, True)])
def test_dsn_parameters_need_the_extension(is_extended: bool, offers_dsn: bool) -> None:
    with pytest.raises(Refusal) as refused:
        parse_mail(b"FROM:<a@b.example> RET=FULL", is_extended, offers_dsn)
    assert refused.value.reply == replies.BAD_PARAMETER
    with pytest.raises(Refusal) as refused:
        parse_rcpt(b"TO:<a@b.example> NOTIFY=NEVER", is_extended, False, offers_dsn)
    assert refused.value.reply == replies.BAD_PARAMETER


@given(st.binary(max_size=60))
def test_whatever_comes_it_is_refused_or_parsed(argument: bytes) -> None:
    for data in (argument, b"FROM:<" + argument, b"FROM:<a@b.example>" + argument):
        try:
            command = parse_mail(data, is_extended=True)
        except Refusal as refusal:
            assert refusal.reply.code in (501, 553, 555)
            assert b"\r\n" not in bytes(refusal.reply)[:-2]
        else:
            assert command.size >= 0
