"""Where a part is: body, attachment, inside an attached message, inside an archive. With the real parser."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage

import pytest

from mailgate.inspect.containers import listing
from mailgate.inspect.inspection import inspect
from mailgate.inspect.members import Budget, Listing
from mailgate.ipc.inspect_calls import InspectLimits
from tests.inspect_scan.test_inspection import FOUND, ScriptedScanner

PROGRAM = b"MZ" + bytes(80)


def listed(contents: Mapping[str, bytes], opens: frozenset[str]) -> dict[str, Listing]:
    return {digest: listing(content, Budget()) for digest, content in contents.items()}


def zipped(content: bytes, name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


def message(text: str, *attachments: tuple[bytes, str]) -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = text
    made.set_content(text)
    for content, name in attachments:
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return made


def placements(made: EmailMessage) -> dict[str, tuple[str, ...]]:
    found = inspect(_on_the_wire(made), InspectLimits(), ScriptedScanner({}), listed)
    return {part.name or part.place: part.placements for part in found.parts}


def _on_the_wire(made: EmailMessage) -> bytes:
    return made.as_bytes().replace(b"\n", b"\r\n")


def test_body_and_attachment() -> None:
    made = message("text", (PROGRAM, "a.exe"))
    assert placements(made) == {"1": ("body",), "a.exe": ("attachment",), "raw": ()}


def test_inside_an_archive() -> None:
    made = message("text", (zipped(PROGRAM, "a.exe"), "a.zip"))
    assert placements(made) == {"1": ("body",), "a.zip": ("attachment",), "a.exe": ("archive",), "raw": ()}


@pytest.mark.parametrize("as_file", [False, True])
def test_inside_an_attached_message(as_file: bool) -> None:
    inner = message("other text", (PROGRAM, "a.exe"), (zipped(b"MZ" + bytes(90), "b.exe"), "b.zip"))
    outer = message("text")
    if as_file:
        outer.add_attachment(inner.as_bytes(), maintype="application", subtype="octet-stream", filename="mail.eml")
    else:
        outer.add_attachment(inner)
    found = placements(outer)
    assert found["1"] == ("body",)
    assert found["a.exe"] == ("message",)
    assert found["b.zip"] == ("message",)
    assert found["b.exe"] == ("archive", "message")


def test_the_same_content_twice_has_both_placements() -> None:
    outer = message("text", (PROGRAM, "a.exe"))
    outer.add_attachment(message("other text", (PROGRAM, "a.exe")))
    assert placements(outer)["a.exe"] == ("attachment", "message")


def test_an_infected_archive_is_listed_too_and_shares_its_verdict() -> None:
    """An exception from the verdict of the scanner is none from the rules."""
    archive = zipped(PROGRAM, "a.exe")
    raw = _on_the_wire(message("text", (archive, "a.zip")))
    found = inspect(raw, InspectLimits(), ScriptedScanner({archive: FOUND}), listed)
    member = next(part for part in found.parts if part.name == "a.exe")
    assert (member.verdict, member.signature, "executable" in member.classes) == (
        FOUND.verdict,
        FOUND.signature,
        True,
    )
