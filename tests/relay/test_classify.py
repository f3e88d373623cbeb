"""From replies and faults to outcomes. Pure."""

from __future__ import annotations

import pytest

from mailgate.model.outcome import State
from mailgate.model.reply import Reply, reply_of
from mailgate.relay.classify import is_trouble, outcome_of, outcome_of_fault
from mailgate.relay.transfer import Fault, FaultKind, Transfer

OK = Reply(250, "2.0.0", "ok")


@pytest.mark.parametrize(
    ("code", "message", "enhanced", "text"),
    [
        (550, "5.1.1 No such user", "5.1.1", "No such user"),
        (550, "No such user", "", "No such user"),
        (550, "5.1.1 one\n5.1.1 two", "5.1.1", "one two"),
        (450, "5.1.1 codes that contradict each other", "", "5.1.1 codes that contradict each other"),
        (250, "2.0.0", "2.0.0", ""),
        (550, "5.1.1000 no code", "", "5.1.1000 no code"),
        (550, "tab\x07bell", "", "tab?bell"),
    ],
)
def test_enhanced_codes(code: int, message: str, enhanced: str, text: str) -> None:
    assert reply_of(code, message) == Reply(code, enhanced, text)


@pytest.mark.parametrize(
    ("transfer", "state", "code", "enhanced"),
    [
        (Transfer([OK], OK, OK), State.RELAYED, 250, "2.0.0"),
        (Transfer([OK], Reply(550, "5.7.1", "no"), None), State.BOUNCED, 550, "5.7.1"),
        (Transfer([OK], Reply(451, "", "later")), State.QUEUED, 451, "4.0.0"),
        (Transfer([Reply(550, "", "no")], OK, OK), State.BOUNCED, 550, "5.0.0"),
        (Transfer([Reply(552, "", "too many")], OK, OK), State.QUEUED, 552, "4.5.3"),
        (Transfer([Reply(354, "", "what")], OK, OK), State.QUEUED, 354, "4.0.0"),
        (Transfer([None], OK, OK), State.QUEUED, 250, "2.0.0"),
        (Transfer([OK], OK, Reply(554, "5.6.0", "bad")), State.BOUNCED, 554, "5.6.0"),
        (Transfer([OK], OK, Reply(452, "4.3.1", "full")), State.QUEUED, 452, "4.3.1"),
        (Transfer([OK], OK, None, Fault(FaultKind.TIMEOUT, "end of data", "slow")), State.QUEUED, 0, "4.4.2"),
        (Transfer([None], None, None, Fault(FaultKind.DROPPED, "MAIL FROM", "gone")), State.QUEUED, 0, "4.4.2"),
        (Transfer([OK], OK, None), State.QUEUED, 0, "4.5.0"),
    ],
)
def test_outcome_of_a_transaction(transfer: Transfer, state: State, code: int, enhanced: str) -> None:
    outcome = outcome_of(transfer, 0, "mx.example")
    assert (outcome.state, outcome.code, outcome.enhanced) == (state, code, enhanced)
    assert "mx.example" in outcome.text


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_fault_never_bounces_but_where_dns_leads_nowhere(kind: FaultKind) -> None:
    outcome = outcome_of_fault(Fault(kind, "step", "why"), "mx.example")
    leads_nowhere = kind in (FaultKind.NO_ADDRESS, FaultKind.REFUSED_ADDRESS)
    assert outcome.state is (State.BOUNCED if leads_nowhere else State.QUEUED)
    assert outcome.enhanced[0] == ("5" if leads_nowhere else "4")
    assert "why" in outcome.text


@pytest.mark.parametrize(
    ("code", "state"), [(421, State.QUEUED), (554, State.QUEUED), (521, State.BOUNCED), (556, State.BOUNCED)]
)
def test_greetings_that_refuse(code: int, state: State) -> None:
    fault = Fault(FaultKind.GREETING, "greeting", "no", Reply(code, "", "no"))
    assert outcome_of_fault(fault, "mx.example").state is state


@pytest.mark.parametrize(
    ("transfer", "trouble"),
    [
        (Transfer([OK], OK, OK), False),
        (Transfer([Reply(550, "", "no")], OK, OK), False),
        (Transfer([OK], Reply(421, "", "closing")), True),
        (Transfer([OK], OK, None, Fault(FaultKind.DROPPED, "DATA", "gone")), True),
    ],
)
def test_trouble_is_the_hosts_not_the_messages(transfer: Transfer, trouble: bool) -> None:
    assert is_trouble(transfer) is trouble
