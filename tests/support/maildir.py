"""What lies in a Maildir, found by token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.support.clock import eventually


def files(maildir: Path) -> list[Path]:
    """Delivered messages only: what lies in `tmp/` is not delivered."""
    return [path for folder in ("new", "cur") for path in (maildir / folder).glob("*") if path.is_file()]


def holding(maildir: Path, token: str) -> list[Path]:
    wanted = token.encode()
    return [path for path in files(maildir) if wanted in path.read_bytes()]


def wait_for(maildir: Path, token: str) -> bytes:
    """The one delivered message that holds `token`; fails where there are several."""
    found = eventually(lambda: holding(maildir, token), f"a message with {token} in {maildir}")
    assert len(found) == 1, f"{token} was delivered {len(found)} times"
    return found[0].read_bytes()


def below_trace_headers(stored: bytes, sent: bytes) -> bytes:
    """The tail of `stored` that is as long as `sent`; what stands before it must be whole header lines."""
    at = len(stored) - len(sent)
    assert at > 0, f"{len(stored)} bytes stored of {len(sent)} sent"
    assert stored[:at].endswith(b"\n"), f"no line ends before the message: {stored[:at][-80:]!r}"
    return stored[at:]


def count_tokens(maildirs: Iterable[Path], prefix: bytes = b"tk", length: int = 22) -> Counter[str]:
    """How often each token was delivered: read from the first `Message-ID: <TOKEN@` of each file."""
    found: Counter[str] = Counter()
    for maildir in maildirs:
        for path in files(maildir):
            with path.open("rb") as file:
                start = file.read(8192)
            at = start.find(b"Message-ID: <" + prefix)
            if at >= 0:
                found[start[at + 13 : at + 13 + length].decode()] += 1
    return found
