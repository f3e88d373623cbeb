from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.replies import CLEAN, LONGEST_REPLY, ReplyBuffer, ReplyError, Version, scan_result
from mailgate.model.verdict import Unscanned, Verdict


@pytest.mark.parametrize("text", ["stream: OK", "fd[0]: OK", "fd[123]: OK"])
def test_exactly_ok_is_clean(text: str) -> None:
    assert scan_result(text) == CLEAN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK",
        ": OK",
        "stream: ok",
        "stream: OK ",
        " stream: OK",
        "stream:OK",
        "stream: OK OK",
        "stream: clean OK",
        "stream: FOUND",
        "stream: OK\nstream: OK",
        "stream: OK ERROR",
        "fd[]: OK",
        "fd[x]: OK",
        "/tmp/file: OK",
        "stream: lstat() failed: No such file or directory. ERROR",
        "fd[12]: Can't allocate memory ERROR",
        "UNKNOWN COMMAND",
        "COMMAND READ TIMED OUT",
        "Command invalid inside IDSESSION. ERROR",
        "FILDES: didn't receive file descriptor. ERROR",
        "PONG",
    ],
)
def test_whatever_is_no_reply_to_a_scan_is_the_scanners_error(text: str) -> None:
    result = scan_result(text)
    assert (result.verdict, result.reason) == (Verdict.NOT_SCANNED, Unscanned.SCANNER_ERROR)
    assert result.is_transient
    assert result.detail


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("stream: Eicar-Test-Signature FOUND", "Eicar-Test-Signature"),
        ("fd[9]: Eicar-Test-Signature.UNOFFICIAL FOUND", "Eicar-Test-Signature.UNOFFICIAL"),
        ("stream: Win.Test.EICAR_HDB-1(44d88612fea8a8f36de82e1278abb02f:68) FOUND", "Win.Test.EICAR_HDB-1"),
        ("stream: Name with blanks FOUND", "Name with blanks"),
        ("stream: stream: OK FOUND", "stream: OK"),
        ("stream: Sanesecurity.Phishing.Fake.1.UNOFFICIAL FOUND", "Sanesecurity.Phishing.Fake.1.UNOFFICIAL"),
        ("stream: Win.Trojan.PUA.Heuristics-1 FOUND", "Win.Trojan.PUA.Heuristics-1"),
        ("stream: PUAlike FOUND", "PUAlike"),
        ("stream: Heuristics FOUND", "Heuristics"),
    ],
)
def test_a_finding_is_infected(text: str, signature: str) -> None:
    result = scan_result(text)
    assert (result.verdict, result.signature) == (Verdict.INFECTED, signature)


@pytest.mark.parametrize(
    "signature",
    [
        "Heuristics.Phishing.Email.SpoofedDomain",
        "Heuristics.Phishing.Email.SSL-Spoof",
        "Heuristics.Broken.Executable",
        "Heuristics.Structured.SSN",
        "PUA.Win.Packer.Upx-1",
        "PUA.Html.Exploit.UNOFFICIAL",
    ],
)
def test_what_has_no_signature_of_malware_is_suspicious_and_says_nothing_of_the_rest(signature: str) -> None:
    result = scan_result(f"fd[5]: {signature} FOUND")
    assert (result.verdict, result.signature, result.masks) == (Verdict.SUSPICIOUS, signature, True)
    assert not result.is_transient


@pytest.mark.parametrize(
    "text",
    [
        "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
        "fd[5]: Heuristics.Limits.Exceeded.MaxScanSize FOUND",
        "fd[5]: Heuristics.Limits.Exceeded.MaxScanTime FOUND",
        "stream: Heuristics.Limits.Exceeded FOUND",
        "INSTREAM size limit exceeded. ERROR",
        "stream: CL_ETIMEOUT: Time limit reached ERROR",
        "fd[7]: Time limit reached ERROR",
        "fd[7]: CL_EMAXREC: Recursion limit exceeded ERROR",
    ],
)
def test_limits_are_not_scanned(text: str) -> None:
    result = scan_result(text)
    assert (result.verdict, result.reason, result.signature) == (Verdict.NOT_SCANNED, Unscanned.LIMIT, "")
    assert not result.is_transient


@pytest.mark.parametrize("kind", ["Zip", "RAR", "7Zip", "PDF", "Doc", "OLE2"])
def test_encrypted_is_not_scanned(kind: str) -> None:
    result = scan_result(f"stream: Heuristics.Encrypted.{kind} FOUND")
    assert (result.verdict, result.reason, result.encrypted) == (Verdict.NOT_SCANNED, Unscanned.ENCRYPTED, True)


@pytest.mark.parametrize("kind", ["VBA", "XLM", "VBA.Evil"])
def test_macros_say_nothing_of_the_rest_of_a_file(kind: str) -> None:
    result = scan_result(f"fd[3]: Heuristics.OLE2.ContainsMacros.{kind} FOUND")
    assert (result.verdict, result.reason) == (Verdict.NOT_SCANNED, Unscanned.SCANNER_ERROR)
    assert "AlertOLE2Macros no" in result.detail


@given(st.text())
def test_any_text_gets_a_result_and_only_ok_is_clean(text: str) -> None:
    result = scan_result(text)
    if result.verdict is Verdict.CLEAN:
        assert text.endswith(": OK")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1).filter(str.strip))
def test_no_text_between_path_and_ok_is_clean(text: str) -> None:
    assert scan_result(f"stream: {text} OK").verdict is Verdict.NOT_SCANNED


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.text(st.characters(codec="ascii", exclude_characters="\0")))),
    st.data(),
)
def test_replies_come_through_in_pieces_of_any_size(replies: list[tuple[int, str]], data: st.DataObject) -> None:
    stream = b"".join(f"{number}: {text}\0".encode() for number, text in replies)
    buffer, found = ReplyBuffer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += buffer.feed(stream[:size])
        stream = stream[size:]
    assert found == [(number, text.strip()) for number, text in replies]


@given(st.binary())
def test_any_bytes_are_replies_or_a_reply_error(stream: bytes) -> None:
    try:
        replies = ReplyBuffer().feed(stream)
    except ReplyError:
        return
    assert len(replies) == stream.count(b"\0")


@pytest.mark.parametrize(
    "reply", [b"\0", b"COMMAND READ TIMED OUT\0", b"x: OK\0", b"-1: stream: OK\0", b"1:stream: OK\0"]
)
def test_a_reply_without_id_ends_the_session(reply: bytes) -> None:
    with pytest.raises(ReplyError):
        ReplyBuffer().feed(reply)


def test_a_reply_without_end_is_refused() -> None:
    buffer = ReplyBuffer()
    with pytest.raises(ReplyError):
        for _ in range(LONGEST_REPLY):
            buffer.feed(b"1: aaaaa")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("ClamAV 1.4.6", Version("ClamAV 1.4.6")),
        ("ClamAV 1.4.6/27800/Mon Nov 23 08:30:00 2026", Version("ClamAV 1.4.6", "27800", 1795422600.0)),
        ("ClamAV 1.4.6/27800/Mon Nov  2 08:30:00 2026", Version("ClamAV 1.4.6", "27800", 1793608200.0)),
        ("ClamAV 1.4.6/27800/nonsense", Version("ClamAV 1.4.6", "27800", None)),
        ("ClamAV 1.4.6/27800/Mon Nov 31 08:30:00 2026", Version("ClamAV 1.4.6", "27800", None)),
    ],
)
def test_version(text: str, version: Version) -> None:
    assert Version.parse(text) == version


@pytest.mark.parametrize("text", ["", " ", "UNKNOWN COMMAND ERROR", "/27800/"])
def test_no_version(text: str) -> None:
    with pytest.raises(ReplyError):
        Version.parse(text)
