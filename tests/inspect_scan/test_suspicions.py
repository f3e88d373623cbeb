"""What a real clamd suspects without a signature of malware: a verdict of its own, which hides nothing else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest

from mailgate.inspect import canary_files as files
from mailgate.inspect.worker import inspector
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.decision import Action
from mailgate.model.verdict import Inspection, Unscanned, Verdict
from mailgate.policy.evaluate import evaluate
from tests.policy.making import facts, policy
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.gateway import short_folder
from tests.support.messages import EICAR

pytestmark = pytest.mark.component("clamd")

UNWANTED = b"an unwanted program, says the database"
NAME = "PUA.Test.Unwanted.UNOFFICIAL"
LINK = (
    b'Content-Type: text/html\r\n\r\n<html><body><a href="http://click.newsletter.example/x/abc">'
    b"http://www.bank-of-tests.com/activity</a></body></html>\r\n"
)
PHISHING = "Heuristics.Phishing.Email.SpoofedDomain"
ONLY_THE_SCANNER = files.ARCHIVES["application/x-arj"][0]().replace(EICAR, b"x" * len(EICAR))
ACCEPTING = '[scanning]\nsuspicious = "accept"\n'


@pytest.fixture(scope="module")
def clamd() -> Iterator[Clamd]:
    clamd = Clamd(short_folder("mg-sus-"))
    clamd.configure(DetectPUA="yes")
    (clamd.root / "db" / "own.ndb").write_text(f"PUA.Test.Unwanted:0:*:{UNWANTED.hex()}\n")
    (clamd.root / "db" / "own.pdb").write_text("H:bank-of-tests.com\n")
    try:
        clamd.start()
        yield clamd
    finally:
        clamd.remove()


def zipped(*contents: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.bin", content)
    return stream.getvalue()


def inspected(clamd: Clamd, content: bytes, name: str = "report.zip") -> Inspection:
    return inspector([clamd.endpoint])(messages.with_attachment("a", content, name), InspectLimits())


def test_links_that_lead_elsewhere_are_no_malware(clamd: Clamd) -> None:
    head = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: news\r\nMIME-Version: 1.0\r\n"
    found = inspector([clamd.endpoint])(head + LINK, InspectLimits())
    assert (found.verdict, found.signature) == (Verdict.SUSPICIOUS, PHISHING)
    decision = evaluate(policy(), facts(*found.parts))
    assert (decision.action, decision.key) == (Action.QUARANTINE, "scanning.suspicious")
    assert "infected" not in decision.reason
    assert evaluate(policy(ACCEPTING), facts(*found.parts)).action is Action.ACCEPT


def test_a_suspicious_file(clamd: Clamd) -> None:
    found = inspected(clamd, b"x" + UNWANTED, "a.bin")
    assert (found.verdict, found.signature) == (Verdict.SUSPICIOUS, NAME)
    (part,) = [each for each in found.parts if each.name == "a.bin"]
    assert (part.verdict, part.signature, part.reason) == (Verdict.SUSPICIOUS, NAME, None)


def test_a_suspicious_member_marks_its_container(clamd: Clamd) -> None:
    found = inspected(clamd, zipped(b"a text", UNWANTED))
    verdicts = {part.name: part.verdict for part in found.parts if part.name}
    assert verdicts["report.zip"] is verdicts["1.bin"] is Verdict.SUSPICIOUS
    assert found.verdict is Verdict.SUSPICIOUS


@pytest.mark.parametrize(
    "content", [zipped(UNWANTED, EICAR), zipped(EICAR, UNWANTED), EICAR + UNWANTED], ids=["behind", "before", "in one"]
)
def test_malware_beside_it_is_malware(clamd: Clamd, content: bytes) -> None:
    found = inspected(clamd, content)
    assert found.verdict is Verdict.INFECTED
    assert evaluate(policy(ACCEPTING), facts(*found.parts)).action is Action.REJECT


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped(UNWANTED, files.encrypted()), Unscanned.ENCRYPTED),
        (zipped(files.encrypted(), UNWANTED), Unscanned.ENCRYPTED),
        (zipped(UNWANTED, zipped(files.encrypted())), Unscanned.ENCRYPTED),
        (zipped(UNWANTED, ONLY_THE_SCANNER), Unscanned.LIMIT),
        (zipped(UNWANTED, zipped(b"a text" * 50)[:-40]), Unscanned.LIMIT),
    ],
)
def test_it_hides_nothing_that_could_not_be_scanned(clamd: Clamd, content: bytes, reason: Unscanned) -> None:
    found = inspected(clamd, content)
    assert reason in {part.reason for part in found.unscanned}
    decision = evaluate(policy(ACCEPTING), facts(*found.parts))
    assert decision.action is Action.QUARANTINE
    assert decision.key == f"unscanned.{reason.value}"


def test_of_several_signatures_in_one_file_clamd_tells_the_first_which_the_default_holds(clamd: Clamd) -> None:
    found = inspected(clamd, UNWANTED + EICAR, "a.bin")
    assert evaluate(policy(), facts(*found.parts)).action in (Action.QUARANTINE, Action.REJECT)


def test_a_second_time_it_is_remembered(clamd: Clamd) -> None:
    inspect = inspector([clamd.endpoint])
    message = messages.with_attachment("a", UNWANTED, "a.bin")
    first, second = (inspect(message, InspectLimits()) for _ in range(2))
    assert first.verdict is second.verdict is Verdict.SUSPICIOUS
    assert second.remembered > 0
