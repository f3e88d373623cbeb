from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.dsn import xtext
from mailgate.dsn.parameters import ascii_orcpt, original_recipient, parse_envid, parse_notify, parse_orcpt, parse_ret


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [("abc", "abc"), ("a+2Bb", "a+b"), ("a+3Db", "a=b"), ("two+20words", "two words"), ("+41", "A")],
)
def test_xtext_stands_for_printable_ascii(encoded: str, plain: str) -> None:
    assert xtext.decode(encoded) == plain


@pytest.mark.parametrize("text", ["a+b", "a+2", "a+2b", "a=b", "a b", "é", "+0A", "+00", "+7F", "+C3+A9", "+"])
def test_what_is_no_xtext(text: str) -> None:
    with pytest.raises(xtext.XtextError):
        xtext.decode(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_every_printable_text_can_be_written_and_read(text: str) -> None:
    encoded = "".join(f"+{ord(char):02X}" if char in " +=" else char for char in text)
    assert xtext.decode(encoded) == text


@given(st.text(max_size=30))
def test_decoding_gives_one_printable_line_or_an_error(text: str) -> None:
    for decode in (xtext.decode, xtext.decode_utf8_address):
        try:
            decoded = decode(text)
        except xtext.XtextError:
            continue
        assert not any(char < " " or char == "\x7f" for char in decoded)


@pytest.mark.parametrize(
    ("encoded", "address"),
    [
        ("kim@far.example", "kim@far.example"),
        (r"k\x{EE}m@far.example", "kîm@far.example"),
        ("kîm@far.example", "kîm@far.example"),
        (r"\x{10348}@far.example", "\U00010348@far.example"),
        (r"a\x{2B}b@far.example", "a+b@far.example"),
        (r"a\x{5C}b@far.example", "a\\b@far.example"),
        (r"a\x{20}b@far.example", "a b@far.example"),
    ],
)
def test_utf8_addresses(encoded: str, address: str) -> None:
    assert xtext.decode_utf8_address(encoded) == address


@pytest.mark.parametrize(
    "text",
    [r"\x{41}", r"\x{0EE}", r"\x{D800}", r"\x{110000}", r"\x{85}", r"\x{ee}", r"a\b", "a+b", "a b", r"\x{}", "\x85"],
)
def test_what_is_no_utf8_address(text: str) -> None:
    with pytest.raises(xtext.XtextError):
        xtext.decode_utf8_address(text)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("NEVER", ("NEVER",)),
        ("never", ("NEVER",)),
        ("FAILURE", ("FAILURE",)),
        ("delay,Success", ("SUCCESS", "DELAY")),
        ("DELAY,FAILURE,SUCCESS", ("SUCCESS", "FAILURE", "DELAY")),
    ],
)
def test_notify(value: str, words: tuple[str, ...]) -> None:
    assert parse_notify(value) == words


@pytest.mark.parametrize("value", ["", "ALWAYS", "NEVER,FAILURE", "FAILURE,", "FAILURE,FAILURE", "FAILURE DELAY"])
def test_bad_notify(value: str) -> None:
    with pytest.raises(ValueError, match="NOTIFY"):
        parse_notify(value)


def test_ret() -> None:
    assert (parse_ret("full"), parse_ret("HDRS")) == ("FULL", "HDRS")
    with pytest.raises(ValueError, match="RET"):
        parse_ret("BODY")


def test_envid_is_kept_as_it_was_written() -> None:
    assert parse_envid("QQ314159+20x") == "QQ314159+20x"
    assert parse_envid("x" * 100) == "x" * 100


@pytest.mark.parametrize("value", ["", "x" * 101, "a+b", "a=b", "+0D+0A"])
def test_bad_envid(value: str) -> None:
    with pytest.raises(ValueError):
        parse_envid(value)


def test_orcpt_for_a_server_without_smtputf8() -> None:
    assert ascii_orcpt("utf-8;kîm@\U00010348.example") == r"utf-8;k\x{EE}m@\x{10348}.example"
    assert ascii_orcpt("rfc822;Kim+2Bx@far.example") == "rfc822;Kim+2Bx@far.example"
    assert ascii_orcpt("") == ""
    assert ascii_orcpt("utf-8;" + "î" * 100) == "", "longer than a server must take"


@given(st.text(st.characters(min_codepoint=0xA0, exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_an_escaped_address_is_the_same_address(address: str) -> None:
    given_as = f"utf-8;{address}"
    assert original_recipient(ascii_orcpt(given_as)) == original_recipient(given_as) == ("utf-8", address)


def test_orcpt_is_kept_as_it_was_written() -> None:
    assert parse_orcpt("rfc822;Kim+2Bx@far.example", False) == "rfc822;Kim+2Bx@far.example"
    assert original_recipient("RFC822;Kim+2Bx@far.example") == ("rfc822", "Kim+x@far.example")
    assert original_recipient(r"utf-8;k\x{EE}m@far.example") == ("utf-8", "kîm@far.example")
    assert parse_orcpt("utf-8;kîm@far.example", True) == "utf-8;kîm@far.example"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "kim@far.example",
        ";kim@far.example",
        "rfc822;",
        "rfc822;a+b@far.example",
        "rfc822;a+0Ab@far.example",
        "rf c822;a@far.example",
        "utf-8;kîm@far.example",
        "rfc822;" + "x" * 494,
    ],
)
def test_bad_orcpt(value: str) -> None:
    with pytest.raises(ValueError):
        parse_orcpt(value, smtputf8=False)
