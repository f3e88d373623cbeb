"""Suites that others published, straight into the checks of the sender."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailgate.senderauth import (
    arc,
    arc_seal,
    body,
    dkim_key,
    dkim_signature,
    dkim_verify,
    dmarc,
    dmarc_record,
    header,
    results,
    spf,
    spf_record,
)
from mailgate.senderauth.arc import ArcResult
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.signing_key import SigningKey
from tests.senderauth.published import CONFORMANCE, Case, SpfZone, Texts, scenarios, vectors
from tests.senderauth.zones import run

pytestmark = pytest.mark.component("shared")

SPF = [pytest.param(section, case, id=name) for section, name, case in scenarios("spf/rfc7208-tests.yml")]
CHAINS = [
    pytest.param(section, case, id=name) for section, name, case in scenarios("arc/arc-draft-validation-tests.yml")
]
SEALS = [pytest.param(section, case, id=name) for section, name, case in scenarios("arc/arc-draft-sign-tests.yml")]

# docs/senderauth.md, "Readings of the RFCs"
VALID_BY_RFC_9989 = {"v=DMARC1; sp=reject; p=reject"}
KEPT_SPELLING = {"sender-id": "senderid"}


def test_the_suites_are_whole() -> None:
    """An empty folder would make every test below vanish."""
    assert (len(SPF), len(CHAINS), len(SEALS)) == (203, 171, 17)


@pytest.mark.parametrize(("section", "case"), SPF)
def test_spf(section: Case, case: Case) -> None:
    client = spf.Client(spf.client_ip(case["host"]), case["helo"], receiver="receiver.example", now=1)
    found = run(spf.check_mail_from(SpfZone(section["zonedata"]), client, case["mailfrom"]))
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert found.outcome in expected, found.reason
    if "explanation" in case:
        assert found.explanation == ("" if case["explanation"] == "DEFAULT" else case["explanation"])


def verified(raw: bytes, texts: Mapping[str, str]) -> ArcResult:
    async def verify() -> ArcResult:
        fields = header.read(raw)
        chain = arc.read(fields)

        async def digests() -> Mapping[str, bytes]:
            return body.body_hashes(chain.body_forms, raw[fields.size :])

        return await arc.verify(fields, chain, asyncio.ensure_future(digests()), Texts(texts))

    return asyncio.run(verify())


@pytest.mark.parametrize(("section", "case"), CHAINS)
def test_arc_chain(section: Case, case: Case) -> None:
    raw = (case["message"] or "").encode().replace(b"\n", b"\r\n")
    found = verified(raw, section.get("txt-records") or {})
    # an empty `cv` stands for a chain that a hop before has sealed as failed
    expected = "none" if case.get("cv") is None else case["cv"].lower()
    assert ("" if found.has_ended else found.outcome.value) == expected, found.reason


def tags(value: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in value.strip().rstrip(";").split(";"))
    return {name.strip(): re.sub(r"\s", "", text) for name, _, text in pairs}


@pytest.mark.parametrize(("section", "case"), SEALS)
def test_arc_seal(section: Case, case: Case) -> None:
    raw = case["message"].encode().replace(b"\n", b"\r\n")
    fields = header.read(raw)
    key = load_pem_private_key(section["privatekey"].encode(), None)
    assert isinstance(key, RSAPrivateKey)
    sealer = arc_seal.Sealer(case["srv-id"], section["domain"], section["sel"], SigningKey(key))
    ours = [header.relax(field.value).decode().partition(";") for field in fields.named(b"authentication-results")]
    own = "; ".join(
        text.strip().rstrip(";") for name, _, text in ours if name.strip().lower() == case["srv-id"].lower()
    )
    state = verified(raw, section.get("txt-records") or {}).outcome
    hashes = body.body_hashes({body.RELAXED}, raw[fields.size :])
    names = case["sig-headers"].split(":")
    made = arc_seal.seal(fields, hashes, sealer, own, state, int(case["t"]), names)
    if not case["AS"].strip():
        assert made == ()
        return
    seal, message, copied = (field.decode().partition(":")[2] for field in made)
    assert tags(seal) == tags(case["AS"])
    assert tags(message) == tags(case["AMS"])
    assert re.sub(r"\s", "", copied) == re.sub(r"\s", "", case["AAR"])


def is_valid(parse: Any, text: Any) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("case", vectors("spf-record"), ids=lambda case: case["input"][:40])
def test_spf_record(case: Case) -> None:
    assert is_valid(spf_record.parse, case["input"]) is (case["expect"] == "valid")


@pytest.mark.parametrize("case", vectors("dkim-key-record"), ids=lambda case: case["input"][:40])
def test_dkim_key_record(case: Case) -> None:
    assert is_valid(dkim_key.parse, case["input"]) is (case["expect"] == "valid")


@pytest.mark.parametrize("case", vectors("dkim-signature-header"), ids=lambda case: case["input"][:40])
def test_dkim_signature(case: Case) -> None:
    def parse(text: str) -> object:
        return dkim_signature.parse(text.encode(), smtputf8="No UTF-8" not in case["note"])

    assert is_valid(parse, case["input"]) is (case["expect"] == "valid")


@pytest.mark.parametrize("case", vectors("dmarc-record"), ids=lambda case: case["input"][:40])
def test_dmarc_record(case: Case) -> None:
    is_expected = case["expect"] == "valid" or case["input"] in VALID_BY_RFC_9989
    assert is_valid(dmarc_record.parse, case["input"]) is is_expected


ALIGNMENT = vectors("dmarc-alignment")


@pytest.mark.parametrize("case", [case for case in ALIGNMENT if "mail_from_domain" in case])
def test_dmarc_alignment(case: Case) -> None:
    spf_domain = case["mail_from_domain"] if case["spf"] == "pass" else ""
    dkim_domains = [case["dkim_d"]] if case["dkim"] == "pass" else []
    author = case["header_from"].rpartition("@")[2]
    found = run(dmarc.evaluate(Texts(case["dns"]), author, spf_domain, dkim_domains))
    assert found.spf_aligned is (case["expect_spf_aligned"] == "pass")
    assert bool(found.dkim_aligned) is (case["expect_dkim_aligned"] == "pass")
    assert found.record.policy == case["policy"]


@pytest.mark.parametrize("case", [case for case in ALIGNMENT if "expect_policy" in case])
def test_dmarc_policy_discovery(case: Case) -> None:
    """Nothing passed: what does the owner ask for?"""
    author = case["header_from"].rpartition("@")[2]
    assert run(dmarc.evaluate(Texts(case["dns"]), author, "", [])).policy == case["expect_policy"]


@pytest.mark.parametrize(
    ("psd", "vouched", "is_aligned"), [("psd=y", "mega.bank.example", False), ("psd=n", "b.mail.example.com", True)]
)
def test_dmarc_public_suffixes(psd: str, vouched: str, is_aligned: bool) -> None:
    case = next(case for case in ALIGNMENT if case.get("note", "").startswith(psd))
    author = case["header_from"].rpartition("@")[2]
    assert run(dmarc.evaluate(Texts(case["dns"]), author, vouched, [])).spf_aligned is is_aligned


@pytest.mark.parametrize("case", vectors("authentication-results"), ids=lambda case: case["input"][:40])
def test_authentication_results(case: Case) -> None:
    if case.get("expect"):
        with pytest.raises(results.ResultsError):
            results.parse(case["input"])
        return
    found = results.parse(case["input"])
    assert found.authserv_id == case["authserv_id"]
    assert [(KEPT_SPELLING.get(each.method, each.method), each.result) for each in found.results] == [
        (KEPT_SPELLING.get(each["method"], each["method"]), each["value"]) for each in case["methods"]
    ]


def dkim_outcomes(raw: bytes, texts: Mapping[str, str]) -> list[Outcome]:
    async def verify() -> list[Outcome]:
        fields = header.read(raw)
        found = dkim_verify.candidates(fields)

        async def digests() -> Mapping[str, bytes]:
            return body.body_hashes(dkim_verify.body_forms(found), raw[fields.size :])

        verdicts = await dkim_verify.verify(fields, found, digests(), Texts(texts), 2e9)
        return [each.outcome for each in verdicts]

    return asyncio.run(verify())


def read(name: str) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", (CONFORMANCE / "dkim" / name).read_bytes())


def record(name: str) -> str:
    return read(name).decode().strip()


def test_dkim_message_of_the_rfc_signed_by_two_keys() -> None:
    keys = {
        "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; "
        "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "test._domainkey.football.example.com": record("test.txt"),
    }
    assert dkim_outcomes(read("rfc6376.signed.msg"), keys) == [Outcome.PASS, Outcome.PASS]


@pytest.mark.parametrize("header_form", [b"relaxed", b"simple"])
@pytest.mark.parametrize("body_form", [b"relaxed", b"simple"])
@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("test.txt", Outcome.PASS),
        ("test_tlsrpt.txt", Outcome.PERMERROR),
        ("badk.txt", Outcome.PERMERROR),
        ("badversion.txt", Outcome.PERMERROR),
        ("test2.txt", Outcome.PASS),
        ("test_bad.txt", Outcome.PERMERROR),
    ],
)
def test_dkim_records(header_form: bytes, body_form: bytes, published: str, expected: Outcome) -> None:
    raw = read("test.message")
    private = (CONFORMANCE / "dkim" / "test.private").read_bytes()
    signed = dkim.sign(raw, b"test", b"example.com", private, canonicalize=(header_form, body_form)) + raw
    assert dkim_outcomes(signed, {"test._domainkey.example.com": record(published)}) == [expected]
