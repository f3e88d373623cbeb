"""The dialogues of tests/e2e/transcripts against the running gateway."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import pytest

from tests.support import messages
from tests.support.gateway import PASSWORD, Gateway
from tests.support.smtp import plain_response
from tests.support.transcript import Transcript, load, run

TRANSCRIPTS = load(Path(__file__).parent / "transcripts")


@pytest.mark.component("clamd")
@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=attrgetter("name"))
def test_dialogue(gateway: Gateway, transcript: Transcript) -> None:
    listeners = {"mx": gateway.mx, "submission": gateway.submission, "submissions": gateway.submissions}
    values = {
        "bob": "bob@acme.example",
        "alice": "alice@acme.example",
        "carol": "carol@globex.example",
        "sender": "sender@sender.example",
        "plain": plain_response("bob@acme.example", PASSWORD),
        "token": messages.token(),
    }
    run(transcript, listeners, values)
