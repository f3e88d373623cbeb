"""Reverse-paths of forwarded mail: there and back again, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.address import AddressError, parse_address
from mailgate.tenancy.mailboxes import srs

KEY, OTHER = b"k" * 32, b"o" * 32
TODAY = 20_780
HERE = "acme.example"


def local_of(path: str) -> str:
    return path.rpartition("@")[0]


def there_and_back(path: str) -> str:
    return srs.original(local_of(srs.rewritten(path, HERE, KEY, TODAY)), KEY, TODAY)


@pytest.mark.parametrize(
    "path",
    ["ann@elsewhere.example", "Ann.B+x=y@elsewhere.example", "jos\u00e9@b.example", "a=b@c.example", "-a@c.example"],
)
def test_there_and_back_again(path: str) -> None:
    found = srs.rewritten(path, HERE, KEY, TODAY)
    assert found.startswith("SRS0=") and found.endswith(f"@{HERE}")
    assert parse_address(found)
    assert there_and_back(path) == path


def test_a_host_that_changes_the_case_does_no_harm() -> None:
    local = local_of(srs.rewritten("Ann@Elsewhere.example", HERE, KEY, TODAY))
    for changed in (local.lower(), local.upper()):
        assert srs.original(changed, KEY, TODAY).lower() == "ann@elsewhere.example"


def test_another_forwarder_before_us_gets_its_own_path_back() -> None:
    first = srs.rewritten("ann@elsewhere.example", "first.example", OTHER, TODAY)
    second = srs.rewritten(first, HERE, KEY, TODAY)
    assert second.startswith("SRS1=") and "=first.example==" in second
    assert srs.original(local_of(second), KEY, TODAY) == first


def test_a_third_forwarder_leads_straight_to_the_first() -> None:
    first = srs.rewritten("ann@elsewhere.example", "first.example", OTHER, TODAY)
    second = srs.rewritten(first, "second.example", OTHER, TODAY)
    third = srs.rewritten(second, HERE, KEY, TODAY)
    assert "second.example" not in third
    assert srs.original(local_of(third), KEY, TODAY) == first


@pytest.mark.parametrize("days", [0, 1, srs.DAYS])
def test_bounces_may_take_their_time(days: int) -> None:
    local = local_of(srs.rewritten("ann@elsewhere.example", HERE, KEY, TODAY))
    assert srs.original(local, KEY, TODAY + days)


@pytest.mark.parametrize("days", [srs.DAYS + 1, 100, 1000, -1])
def test_what_is_too_old_leads_nowhere(days: int) -> None:
    local = local_of(srs.rewritten("ann@elsewhere.example", HERE, KEY, TODAY))
    assert srs.original(local, KEY, TODAY + days) == ""


def test_only_what_we_made_leads_anywhere() -> None:
    local = local_of(srs.rewritten("ann@elsewhere.example", HERE, KEY, TODAY))
    assert srs.original(local, OTHER, TODAY) == ""
    assert srs.original(local.replace("ann", "amy"), KEY, TODAY) == ""
    assert srs.original(local.replace("elsewhere", "nowhere"), KEY, TODAY) == ""
    assert srs.original(local.replace("SRS0", "SRS1"), KEY, TODAY) == ""
    tag, stamp = local[5:15], local[16:18]
    assert srs.original(local.replace(tag, "A" * 10, 1), KEY, TODAY) == ""
    for shorter in (tag[:6], tag[:9], tag[4:], ""):
        assert srs.original(local.replace(tag, shorter, 1), KEY, TODAY) == "", "the old length opens nothing new"
    assert srs.original(local.replace(f"={stamp}=", "=ZZ=", 1), KEY, TODAY) == ""


# Made by the release before, with KEY on the day TODAY, at acme.example
OLD_DIRECT = "SRS0=PAP6QZ=JM=elsewhere.example=ann"
OLD_CHAINED = "SRS1=QF2KNH=first.example==ABCD=UL=elsewhere.example=ann"


@pytest.mark.parametrize(
    ("until", "day", "is_good"),
    [
        (TODAY, TODAY, True),
        (TODAY, TODAY + srs.DAYS, True),
        (TODAY + 3, TODAY + 3, True),
        (TODAY, TODAY + srs.DAYS + 1, False),
        (TODAY - 1, TODAY, False),
        (None, TODAY, False),
    ],
)
def test_tags_of_the_release_before_are_taken_while_their_mail_may_bounce(
    until: int | None, day: int, is_good: bool
) -> None:
    assert srs.original(OLD_DIRECT, KEY, day, until) == ("ann@elsewhere.example" if is_good else "")
    assert srs.original(OLD_DIRECT.replace("ann", "amy"), KEY, day, until) == ""


@pytest.mark.parametrize(("until", "is_good"), [(TODAY, True), (TODAY - srs.DAYS, True), (TODAY - 15, False)])
def test_what_had_no_day_is_taken_for_as_long(until: int | None, is_good: bool) -> None:
    found = srs.original(OLD_CHAINED, KEY, TODAY, until)
    assert found == ("SRS0=ABCD=UL=elsewhere.example=ann@first.example" if is_good else "")


@pytest.mark.parametrize("days", [0, srs.DAYS, srs.DAYS + 1])
def test_a_path_of_another_forwarder_has_its_day_too(days: int) -> None:
    local = local_of(srs.rewritten("SRS0=XyZ9=QK=elsewhere.example=ann@first.example", HERE, KEY, TODAY))
    assert bool(srs.original(local, KEY, TODAY + days)) is (days <= srs.DAYS)
    assert srs.original(f"SRS1=ZZ{local[7:]}", KEY, TODAY + days) == "", "another day"


@pytest.mark.parametrize("tag", ["HHHH", "+/a9", "abcdef", "x" * 20])
def test_chains_of_others_are_known_whatever_their_tags_look_like(tag: str) -> None:
    theirs = f"SRS1={tag}=first.example==ABCD=UL=elsewhere.example=ann@second.example"
    local = local_of(srs.rewritten(theirs, HERE, KEY, TODAY))
    assert "second.example" not in local
    assert srs.original(local, KEY, TODAY) == "SRS0=ABCD=UL=elsewhere.example=ann@first.example"


def test_a_tag_has_fifty_bits() -> None:
    assert len(srs.rewritten("ann@elsewhere.example", HERE, KEY, TODAY).split("=")[1]) == 10


@pytest.mark.parametrize("path", ["", '"odd local"@elsewhere.example', f"{'x' * 64}@{'y' * 60}.{'z' * 60}.{'w' * 50}"])
def test_what_cant_be_wrapped_goes_without_a_way_back(path: str) -> None:
    assert srs.rewritten(path, HERE, KEY, TODAY) == ""


@given(st.emails(), st.integers(0, 100_000))
def test_any_path_comes_back(path: str, day: int) -> None:
    try:
        parse_address(path)
    except AddressError:
        return
    found = srs.rewritten(path, HERE, KEY, day)
    if found:
        parse_address(found)
        assert srs.original(local_of(found), KEY, day) == path


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_whatever_is_sent_to_us_leads_nowhere(local: str) -> None:
    for text in (local, f"SRS0={local}", f"SRS1={local}", f"srs0=aaaaaa=aa={local}"):
        assert srs.original(text, KEY, TODAY) == ""
