"""What the timeline says of DMARC: what the domain asks for where that counts, else what it publishes."""

from __future__ import annotations

import pytest

from mailgate.senderauth import dmarc_record
from mailgate.senderauth.dmarc import DmarcResult
from mailgate.senderauth.dmarc_record import DmarcPolicy
from mailgate.senderauth.findings import _dmarc_words
from mailgate.senderauth.outcome import Outcome

RECORD = dmarc_record.parse("v=DMARC1; p=reject; sp=quarantine")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (DmarcResult(Outcome.PASS, "a.example", DmarcPolicy.NONE, "a.example", RECORD), "(policy reject)"),
        (DmarcResult(Outcome.PASS, "x.a.example", DmarcPolicy.NONE, "a.example", RECORD), "(policy quarantine)"),
        (DmarcResult(Outcome.FAIL, "a.example", DmarcPolicy.REJECT, "a.example", RECORD), "asks for reject"),
        (DmarcResult(Outcome.NONE, "a.example"), ""),
        (DmarcResult(Outcome.TEMPERROR, "a.example", reason="no answer"), "(no answer)"),
    ],
)
def test_words(found: DmarcResult, words: str) -> None:
    assert _dmarc_words(found) == f"{found.outcome} {found.domain} {words}".rstrip()
