"""Cases that others published, straight into the parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mailgate.model.address import AddressError, parse_address
from mailgate.transport import mta_sts, tlsrpt
from mailgate.transport.fields import RecordError
from mailgate.transport.https import HttpsAnswer, HttpsError
from mailgate.transport.mta_sts import Mode, PolicyError
from mailgate.transport.sts_cache import policy_of
from tests.support.components import SHARED

VECTORS = SHARED / "conformance" / "vectors"
PARSERS: dict[str, tuple[Callable[[str], object], type[Exception]]] = {
    "mta-sts-record": (mta_sts.parse_record, RecordError),
    "mta-sts-policy": (mta_sts.parse_policy, PolicyError),
    "tlsrpt-record": (tlsrpt.parse_record, RecordError),
    "smtp-address": (parse_address, AddressError),
}


def cases(name: str) -> list[dict[str, Any]]:
    path = VECTORS / f"{name}.json"
    return list(json.loads(path.read_text())["cases"]) if path.exists() else []


SYNTAX = [(name, case) for name in PARSERS for case in cases(name)]


@pytest.mark.component("shared")
@pytest.mark.parametrize(("name", "case"), SYNTAX)
def test_syntax(name: str, case: dict[str, Any]) -> None:
    parse, error = PARSERS[name]
    if case["expect"] == "valid":
        parse(case["input"])
        return
    with pytest.raises(error):
        parse(case["input"])


def looked_up(domain: str, sites: dict[str, dict[str, Any]]) -> bool:
    """Whether a policy in force is found for a next hop, from the records and answers of the cases."""
    site = sites.get(mta_sts.policy_domain(domain))
    if site is None or not mta_sts.id_of([site["txt"]]):
        return False
    answer = site["policy"]
    if answer is None or answer["tls"] != "ok" or answer["body"] is None:
        return False
    try:
        policy = policy_of(HttpsAnswer(answer["status"], answer["content_type"], answer["body"].encode()))
    except (HttpsError, PolicyError):
        return False
    return policy.mode is Mode.ENFORCE and policy.allows("mail.loc")


FETCHES = cases("mta-sts-fetch")
SITES = {case["domain"]: case for case in FETCHES if case["txt"]}


@pytest.mark.component("shared")
@pytest.mark.parametrize("case", FETCHES, ids=lambda case: case["domain"])
def test_lookup(case: dict[str, Any]) -> None:
    expected = case["expected_lookup"]
    is_found = looked_up(case["domain"], SITES)
    if expected is None:
        # not judged by its origin: all of these are broken but the one whose policy only lives short
        assert is_found is (case["domain"] == "fast-expire.loc")
    else:
        assert is_found is expected.startswith("OK")
