"""The form that addresses are compared in, and which may be created."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailgate.model.address import AddressError
from mailgate.model.errors import UserError
from mailgate.tenancy.addresses import (
    canonical,
    canonical_local,
    new_address,
    new_domain,
    new_tenant_name,
    shown,
    skeleton,
    without_label,
)

LOCALS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ONE_SCRIPT = st.one_of(
    st.text(st.sampled_from("abcxyzABCXYZ019._-'"), min_size=1, max_size=12),
    st.text(st.characters(min_codepoint=0x61, max_codepoint=0x24F, categories=["L"]), min_size=1, max_size=12),
    st.text(st.characters(min_codepoint=0x370, max_codepoint=0x3FF, categories=["L", "Mn"]), min_size=1, max_size=12),
    st.text(st.characters(min_codepoint=0x400, max_codepoint=0x4FF, categories=["L"]), min_size=1, max_size=12),
)


@given(LOCALS)
def test_the_canonical_form_is_a_fixed_point(local: str) -> None:
    once = canonical_local(local)
    assert canonical_local(once) == once


@given(LOCALS)
def test_how_a_character_was_composed_makes_no_difference(local: str) -> None:
    assert canonical_local(unicodedata.normalize("NFD", local)) == canonical_local(unicodedata.normalize("NFC", local))


@given(st.text(st.characters(max_codepoint=127), max_size=20))
def test_ascii_only_changes_case(local: str) -> None:
    assert canonical_local(local) == local.lower()


@given(ONE_SCRIPT)
def test_what_may_be_created_is_found_again_however_it_is_written(local: str) -> None:
    try:
        created = new_address(f"{local}@acme.example")
    except UserError:
        assume(False)
    assert created == canonical(created) == new_address(created)
    for written in (local, unicodedata.normalize("NFD", local), unicodedata.normalize("NFC", local)):
        assert canonical(f"{written}@ACME.example") == created


@given(LOCALS | ONE_SCRIPT)
def test_nothing_created_could_be_a_path_or_an_option_or_hide_a_character(local: str) -> None:
    try:
        created = new_address(f"{local}@acme.example").rpartition("@")[0]
    except UserError:
        return
    assert created.isprintable()
    assert not set(created) & set('/\\%!+@"<>()[],:; ')
    assert not created.startswith(("-", "."))
    assert ".." not in created
    assert len(created.encode()) <= 64


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Bob@ACME.example", "bob@acme.example"),
        ("STRASSE@acme.example", "strasse@acme.example"),
        ("straße@acme.example", "strasse@acme.example"),
        ("JOSE\u0301@acme.example", "jos\u00e9@acme.example"),
        ("info@Bücher.example", "info@xn--bcher-kva.example"),
        ("\ufb01le@acme.example", "file@acme.example"),  # the ligature folds to its letters
        ("bob+Shop@acme.example", "bob+shop@acme.example"),
    ],
)
def test_canonical(written: str, expected: str) -> None:
    assert canonical(written) == expected


@pytest.mark.parametrize(
    "text", ["", "bob", "@acme.example", "bob@", "bob@-x.example", "bo\0b@acme.example", "b\ud800@x.example"]
)
def test_what_cannot_be_an_address_is_said_to_be_none(text: str) -> None:
    with pytest.raises(AddressError):
        canonical(text)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/b",
        "a\\b",
        ".",
        "..",
        ".bob",
        "bob.",
        "bo..b",
        "-bob",
        "--help",
        "bo\0b",
        "bo\nb",
        "bo\x7fb",
        "bo\x1b[31mb",
        "bo b",
        "bo\u00a0b",
        "bo\u202eb",  # right-to-left override
        "bo\u200fb",  # right-to-left mark
        "bo\u200bb",  # zero width space
        "bo\u00adb",  # soft hyphen
        "bo\ufeffb",
        "bo\u2028b",
        "bo\ue000b",  # private use
        "bo\ud800b",  # lone surrogate
        "bo\u0378b",  # unassigned
        "b" * 65,
        "b" * 1000,
        "ß" * 40,  # 80 octets as `ss`
        "bob+x",
        "bob%acme",
        "bob!acme",
        '"bob"',
        "<bob>",
        "bob,alice",
        "bob@alice",
        "\uff42ob",  # full-width b
        "bob\u02e2",  # modifier letter small s
        "\u2160bob",  # Roman numeral one
        "\u0301bob",  # begins with a mark
        "bob\u20ac",  # a currency sign
        "b\u043eb",  # Latin with a Cyrillic o
        "\u03b1bc",  # Latin with a Greek alpha
        "😀",
        "",
    ],
)
def test_refused_local_parts(name: str) -> None:
    with pytest.raises(UserError) as refused:
        new_address(f"{name}@acme.example")
    text = str(refused.value)
    assert text.isprintable(), "the message itself must not carry what was refused"
    assert len(text) < 400


@pytest.mark.parametrize(
    "name",
    [
        "bob",
        "b",
        "bob.smith",
        "bob_smith-jr",
        "o'neil",
        "1",
        "jürgen",
        "иван",
        "γιώργος",
        "山田太郎",
        "ヤマダ山田",
        "김철수",
        "b" * 64,
    ],
)
def test_accepted_local_parts(name: str) -> None:
    assert new_address(f"{name}@acme.example") == f"{canonical_local(name)}@acme.example"


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "localhost",
        "acme..example",
        ".example",
        "acme.example.",
        "ac me.example",
        "acme.example\n",
        "ac\0me.example",
        "acme_.example",
        "-acme.example",
        "acme.example/..",
        "[192.0.2.1]",
        "192.0.2.1",
        "xn--a.example",
        "xn--bcher-kvb99999.example",
        "\u202eacme.example",
        f"{'a' * 64}.example",
        f"{'a.' * 130}example",
        "a" * 1000,
    ],
)
def test_refused_domains(domain: str) -> None:
    with pytest.raises(UserError) as refused:
        new_domain(domain)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ACME.Example", "acme.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("mail.acme-1.example", "mail.acme-1.example"),
    ],
)
def test_accepted_domains(written: str, expected: str) -> None:
    assert new_domain(written) == expected


@pytest.mark.parametrize(
    "name",
    ["", "Acme", "a.b", "..", "a/b", "../a", "-a", "a b", "a\n", "a\0", "ä", "a_b", "a\u202e", "a" * 64, "a" * 1000],
)
def test_refused_tenant_names(name: str) -> None:
    with pytest.raises(UserError) as refused:
        new_tenant_name(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["acme", "a", "0", "acme-2", "a" * 63])
def test_accepted_tenant_names(name: str) -> None:
    assert new_tenant_name(name) == name


def test_the_whole_address_has_a_limit() -> None:
    with pytest.raises(UserError, match="254"):
        new_address(f"{'b' * 60}@{'a' * 60}.{'c' * 60}.{'d' * 60}.example.example.example")


@pytest.mark.parametrize(("local", "base"), [("bob", "bob"), ("bob+x", "bob"), ("bob+x+y", "bob"), ("+x", "+x")])
def test_labels(local: str, base: str) -> None:
    assert without_label(local) == base


def test_lookalikes_share_a_skeleton() -> None:
    assert skeleton("\u0440\u0430\u0443@acme.example") == skeleton("pay@acme.example")
    assert skeleton("bob.sm\u0131th@acme.example") == skeleton("bob.smith@acme.example")
    assert skeleton("иван@acme.example") != skeleton("ivan@acme.example")


@given(st.text(max_size=2000))
def test_shown_text_is_short_and_harmless(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 60 * 10 + 2
