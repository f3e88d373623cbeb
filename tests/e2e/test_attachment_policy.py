"""Attachment rules and exceptions as senders and administrators meet them: programs are found wherever they are, and
an exception lets one file pass, for its reason, while the rest stays out."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
from pathlib import Path

import libarchive
import pytest

from tests.conftest import Build
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.gateway import Gateway

pytestmark = pytest.mark.component("clamd")

BOB, ALICE = "bob@acme.example", "alice@acme.example"
PROGRAM = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(400)
GROUNDS = 'made_by = "eve@acme.example"\nreason = "checked by hand"\nexpires = 2099-12-31\n'


def tar(name: str, content: bytes, mode: str = "w:gz") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def archived(kind: str, name: str, content: bytes) -> bytes:
    """By libarchive: `7zip`, `iso9660`, `cpio`…"""
    pieces: list[bytes] = []

    def take(data: bytes) -> int:
        pieces.append(bytes(data))
        return len(data)

    with libarchive.custom_writer(take, kind) as archive:
        archive.add_file_from_memory(name, len(content), content)
    return b"".join(pieces)


def mail(content: bytes, name: str) -> bytes:
    return messages.with_attachment(messages.token(), content, name, "application/octet-stream")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (PROGRAM, "setup.exe"),
        (PROGRAM, "holiday.jpg"),
        (PROGRAM, "README"),
        (messages.zipped({"a/setup.exe": PROGRAM}), "a.zip"),
        (messages.zipped({"photo.png": PROGRAM}), "a.docx"),
        (messages.zipped({"inner.zip": messages.zipped({"letter.txt": PROGRAM})}), "a.zip"),
        (tar("letter.txt", PROGRAM), "a.tar.gz"),
        (tar("letter.txt", PROGRAM, "w:xz"), "notes.txt"),
        (gzip.compress(PROGRAM), "letter.gz"),
        (bz2.compress(PROGRAM), "letter.bz2"),
        (lzma.compress(PROGRAM), "letter.xz"),
        (archived("7zip", "letter.txt", PROGRAM), "a.7z"),
        (archived("iso9660", "LETTER.TXT", PROGRAM), "a.iso"),
        (messages.with_attachment("inner", PROGRAM, "letter.txt"), "forwarded.eml"),
        (messages.with_attachment("inner", messages.zipped({"x": PROGRAM}), "x.zip"), "forwarded.eml"),
    ],
    # archives hold the time they were made at, and ids must be the same in every process
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_programs_are_refused_also_renamed_and_in_archives(gateway: Gateway, content: bytes, name: str) -> None:
    answer = gateway.deliver(mail(content, name), BOB)
    assert (answer.code, answer.enhanced) == (554, "5.7.1")
    assert "Programs are not accepted" in answer.text


def test_the_same_containers_without_a_program_pass(gateway: Gateway) -> None:
    letter = b"Dear Bob, the meeting is on Monday.\r\n"
    for content, name in (
        (messages.zipped({"letter.exe.txt": letter}), "a.zip"),
        (tar("letter.txt", letter), "a.tar.gz"),
        (archived("7zip", "letter.txt", letter), "a.7z"),
        (messages.with_attachment("inner", letter, "letter.txt"), "forwarded.eml"),
    ):
        assert gateway.deliver(mail(content, name), BOB).code == 250, name


def test_exceptions_let_one_file_pass_and_trace_tells_who_and_why(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    suspect = messages.EICAR + b"\r\nan article about test files"
    packed = messages.zipped({"suspect.txt": suspect})
    digests = ", ".join(f'"{hashlib.sha256(content).hexdigest()}"' for content in (suspect, packed, PROGRAM))
    (gateway.policy_dir / "tenants" / "acme.toml").write_text(
        f'[[scanner_exceptions]]\n{GROUNDS}digest = [{digests}]\nrecipient = "bob@*"\n'
        f'[[attachment_exceptions]]\n{GROUNDS}digest = [{digests}]\nrule = "no programs"\n'
    )
    gateway.start()
    for content, name in ((suspect, "article.txt"), (packed, "article.zip"), (PROGRAM, "tool.exe")):
        answer = gateway.deliver(mail(content, name), BOB)
        assert answer.code == 250, (name, answer)
        text = gateway.cli("trace", answer.queue_id)
        assert "excepted by tenants/acme.toml" in text
        assert "checked by hand (eve@acme.example, until 2099-12-31)" in text
    for content, recipient in (
        (suspect, ALICE),
        (suspect + b"!", BOB),
        (messages.zipped({"suspect.txt": suspect, "more.txt": b"more"}), BOB),
        (suspect, "carol@globex.example"),
    ):
        assert gateway.deliver(mail(content, "article.bin"), recipient).code == 554
    gateway.stop()


def test_scan_shows_findings_and_exceptions(new_gateway: Build, clamd: Clamd, tmp_path: Path) -> None:
    gateway = new_gateway(clamd.endpoint)
    digest = hashlib.sha256(PROGRAM).hexdigest()
    (gateway.policy_dir / "tenants" / "acme.toml").write_text(
        f'[[attachment_exceptions]]\n{GROUNDS}digest = "{digest}"\nsender = "*@partner.example"\n'
    )
    file = tmp_path / "message.eml"
    file.write_bytes(mail(PROGRAM, "tool.exe"))
    stopped = gateway.run("scan", str(file), "--tenant", "acme")
    assert stopped.returncode == 1, stopped.stderr
    assert digest in stopped.stdout
    assert '-> reject by gateway.toml: attachments[1] "no programs"' in stopped.stdout
    passed = gateway.run("scan", str(file), "--tenant", "acme", "--sender", "ann@partner.example")
    assert passed.returncode == 0, passed.stderr
    assert "excepted by tenants/acme.toml: attachment_exceptions[1]: checked by hand" in passed.stdout
