"""A confined inspector finds what an unconfined one finds: nothing that it needs was left to be loaded later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.inspect.worker import inspector
from mailgate.ipc.inspect_calls import Inspected, InspectLimits
from mailgate.model.verdict import Inspection
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.inspect_scan.small_clamd import SmallClamd
from tests.inspect_scan.test_containers import encrypted_office
from tests.inspect_scan.workers import Edge, Worker
from tests.support import messages
from tests.support.components import REPOSITORY, TESTFILES
from tests.support.gateway import short_folder

pytestmark = pytest.mark.component("clamd")


@pytest.fixture(scope="module")
def edge(small_clamd: SmallClamd) -> Iterator[Edge]:
    folder = short_folder("mg-confined-")
    with Worker(folder, small_clamd.endpoint) as worker:
        yield Edge(worker.path)
    worker.path.unlink()
    folder.rmdir()


def corpus() -> list[bytes]:
    """Messages of the fuzz corpus, and one for each container that ClamAV's testers made."""
    mails = [each.read_bytes() for each in sorted((REPOSITORY / "tests/fuzz/corpus/mime").glob("*.eml"))]
    files = [each for each in sorted(TESTFILES.iterdir()) if each.is_file()] if TESTFILES.exists() else []
    contents = [(each.name, each.read_bytes()) for each in files]
    contents += [("a.zip", encrypted_zip("a.exe", b"MZ")), ("a.doc", encrypted_office())]
    return mails + [messages.with_attachment("x", content, name) for name, content in contents]


def told(inspection: Inspection) -> tuple[object, ...]:
    """What rules look at. Where there are very many defects, those that are told are a choice by chance."""
    parts = sorted(inspection.parts, key=repr)
    return inspection.verdict, inspection.signature, parts, {defect.name for defect in inspection.defects}


def test_confinement_changes_no_finding(edge: Edge, small_clamd: SmallClamd, tmp_path: Path) -> None:
    free = inspector([small_clamd.endpoint])
    seen = corpus()
    assert len(seen) > 100
    for message in seen:
        (tmp_path / "staged").write_bytes(message)
        edge.send_file(tmp_path / "staged")
        answer = edge.answer()
        assert isinstance(answer, Inspected), answer
        assert told(answer.inspection) == told(free(message, InspectLimits()))
