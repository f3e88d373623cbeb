"""Content that is not in the message: who would fetch it or put it together decides which defect it is."""

from __future__ import annotations

import pytest

from mailgate.inspect.mime import views

PARTIAL = b'Content-Type: message/partial; id="x"; number=1; total=2\r\n\r\nhalf'
EXTERNAL = (
    b'Content-Type: message/external-body; access-type=anon-ftp; site="a.example"\r\n\r\nContent-Type: x/y\r\n\r\n'
)


def inside(subtype: bytes, part: bytes) -> bytes:
    boundary = b"b" + subtype
    start = b"Content-Type: multipart/" + subtype + b"; boundary=" + boundary
    return start + b"\r\n\r\n--" + boundary + b"\r\n" + part + b"\r\n--" + boundary + b"--\r\n"


@pytest.mark.parametrize(
    ("entity", "defect"),
    [
        (PARTIAL, "message-partial"),
        (inside(b"mixed", b"Content-Type: message/rfc822\r\n\r\n" + PARTIAL), "message-partial"),
        (inside(b"mixed", PARTIAL), "message-partial-inside"),
        (EXTERNAL, "external-body"),
        (inside(b"mixed", EXTERNAL), "external-body"),
        (inside(b"mixed", inside(b"alternative", EXTERNAL)), "external-body-alternative"),
        (inside(b"alternative", b"Content-Type: message/rfc822\r\n\r\n" + EXTERNAL), "external-body"),
        (inside(b"alternative", inside(b"mixed", EXTERNAL)), "external-body"),
    ],
)
def test_content_elsewhere(entity: bytes, defect: str) -> None:
    found = {each.name for each in views(b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + entity).defects}
    assert {name for name in found if "partial" in name or "external" in name} == {defect}
