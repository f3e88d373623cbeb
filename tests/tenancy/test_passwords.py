"""Password hashes and which passwords are refused."""

from __future__ import annotations

import pytest
from argon2 import extract_parameters

from mailgate.model.errors import UserError
from mailgate.tenancy.logins import passwords

LOGIN = "bob@acme.example"


def test_a_hash_opens_for_its_password_only() -> None:
    encoded = passwords.hashed("correct-horse-7", LOGIN)
    assert encoded.startswith("$argon2id$")
    assert passwords.verify(encoded, b"correct-horse-7")
    for wrong in (b"", b"correct-horse-8", b"correct-horse-7 ", b"correct-horse-7\0", b"\xff\xfe"):
        assert not passwords.verify(encoded, wrong)


def test_two_hashes_of_one_password_differ() -> None:
    assert passwords.hashed("correct-horse-7", LOGIN) != passwords.hashed("correct-horse-7", LOGIN)


def test_composition_and_kind_of_space_make_no_difference() -> None:
    encoded = passwords.hashed("cafe\u0301 au\u00a0lait", LOGIN)
    assert passwords.verify(encoded, "caf\u00e9 au lait".encode())


def test_case_makes_a_difference() -> None:
    assert not passwords.verify(passwords.hashed("correct-horse-7", LOGIN), b"Correct-horse-7")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "0 characters, at least 10"),
        ("short-one", "9 characters, at least 10"),
        ("x" * 257, "more than 256"),
        ("line\nbreak-in-it", "control character"),
        ("nul\0nul-nul-nul", "control character"),
        ("bob@acme.example", "login name"),
        ("BOB@ACME.example", "login name"),
        ("ababababababab", "different characters"),
    ],
)
def test_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as refused:
        passwords.hashed(password, LOGIN)
    assert not password or password not in str(refused.value)


def test_the_bare_local_part_is_refused() -> None:
    with pytest.raises(UserError, match="login name"):
        passwords.hashed("bartholomew", "bartholomew@acme.example")


def test_nobody_costs_as_much_as_anybody() -> None:
    assert extract_parameters(passwords.NOBODY) == extract_parameters(passwords.hashed("correct-horse-7", LOGIN))
    assert not passwords.verify(passwords.NOBODY, b"correct-horse-7")


def test_a_damaged_hash_opens_for_nothing() -> None:
    assert not passwords.verify("$argon2id$damaged", b"correct-horse-7")
    assert not passwords.verify("", b"correct-horse-7")


@pytest.mark.parametrize(
    ("password", "minimum"), [("password1234", 2), ("qwertyuiop12", 2), ("bartholomew.acme", 3), ("Tr0ub4dour&3", 3)]
)
def test_what_is_easy_to_guess_is_refused_with_the_score(password: str, minimum: int) -> None:
    with pytest.raises(UserError, match=rf"strength [0-3] of 4, at least {minimum} is needed") as refused:
        passwords.hashed(password, "bartholomew@acme.example", "acme", minimum)
    assert password not in str(refused.value)


def test_names_that_anybody_knows_make_no_password() -> None:
    passwords.check_score("winterbourne7", "bob@acme.example", "acme", 2)
    with pytest.raises(UserError, match="too easy"):
        passwords.check_score("winterbourne7", "winterbourne@acme.example", "acme", 2)
    with pytest.raises(UserError, match="too easy"):
        passwords.check_score("winterbourne7", "bob@acme.example", "winterbourne", 2)


def test_a_long_one_is_judged_in_good_time() -> None:
    passwords.check_score("correct horse battery staple " * 8, LOGIN, "acme", 4)
