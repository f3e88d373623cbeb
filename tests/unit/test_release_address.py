"""Release addresses: what was made is read, nothing else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.address import LOCAL_LIMIT, parse_forward_path
from mailgate.model.envelope import queue_id
from mailgate.model.release_address import Claim, is_release_local, read_claim, release_address

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
claims = st.builds(
    Claim, st.builds(queue_id, st.floats(0, 4e9), st.integers(0, (1 << 35) - 1)), st.integers(0, (1 << 16) - 1)
)


@given(claims)
def test_what_was_made_is_read_in_small_and_capital_letters(claim: Claim) -> None:
    address = parse_forward_path(release_address(claim, "acme.example", KEY))
    assert len(address.local) == 53 <= LOCAL_LIMIT
    assert is_release_local(address.local)
    assert read_claim(address.local, KEY) == read_claim(address.local.upper(), KEY) == claim
    assert read_claim(address.local, OTHER_KEY) is None


@given(claims, st.integers(8, 51), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz234567"))
def test_nothing_can_be_changed(claim: Claim, at: int, char: str) -> None:
    local = release_address(claim, "acme.example", KEY).partition("@")[0]
    changed = local[:at] + char + local[at + 1 :]
    assert read_claim(changed, KEY) == (claim if changed == local else None)


@given(st.text())
def test_other_addresses_claim_nothing(local: str) -> None:
    assert read_claim(local, KEY) is None
    assert read_claim(f"release+{local}", KEY) is None


def test_no_address_where_the_number_does_not_fit() -> None:
    assert release_address(Claim(queue_id(1.0, 1), 1 << 16), "acme.example", KEY) == ""
