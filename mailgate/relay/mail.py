"""A message on its way out: the envelope of one transaction, and the bytes, inline or in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mailgate.model import digest
from mailgate.model.envelope import Envelope, Recipient
from mailgate.model.errors import DamagedError
from mailgate.recoding.lines import Lines
from mailgate.recoding.plan import Edit, Source, recoded

CHUNK = 256 << 10
LONGEST_HEAD = 16 << 20
_HEADER_END = b"\r\n\r\n"
_UTF8_PART_HEADER = re.compile(rb"(?im)^content-[^\r\n]*[\x80-\xff]")
_TLS_REPORT = re.compile(rb"(?im)^TLS-Report-Domain:")
_TLS_NOT_REQUIRED = re.compile(rb"(?im)^TLS-Required:[ \t]*No[ \t]*\r?$")


@dataclass(frozen=True)
class Mail:
    """`recipients` share one transaction. The stored bytes are `inline`, or where that is None in `file`; `digest` is
    theirs. `size` in bytes of what goes out: `prefix` (signatures), then the stored bytes with the `edits`, which make
    them `growth` bytes longer. `facts` of what was done to it here, for the timeline."""

    envelope: Envelope
    recipients: tuple[Recipient, ...]
    size: int
    inline: bytes | None = None
    file: str = ""
    digest: bytes = b""
    prefix: bytes = b""
    facts: Mapping[str, str] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    growth: int = 0

    def signed(self, prefix: bytes) -> Mail:
        """The same with these fields on top."""
        return replace(self, prefix=prefix + self.prefix, size=self.size + len(prefix))

    def chunks(self) -> Iterator[bytes]:
        """What goes out, in order. OSError where the file can't be read; DamagedError, before the last piece, where it
        is not what was accepted."""
        prefix = self.prefix
        for data in recoded(self._stored(), self.edits) if self.edits else self._stored():
            yield prefix + data
            prefix = b""

    @property
    def source(self) -> Source:
        """The stored bytes; what they are is checked by `chunks` only."""
        stored = self.size - len(self.prefix) - self.growth
        if self.inline is not None:
            inline = self.inline
            return Source(stored, lambda at, size: inline[at : at + size])
        return Source(stored, lambda at, size: _read(self.file, at, size))

    def _stored(self) -> Iterator[bytes]:
        if self.inline is not None:
            digest.check(digest.digest_of(self.inline), self.digest, "the content")
            yield self.inline
            return
        left = self.size - len(self.prefix) - self.growth
        with Path(self.file).open("rb", buffering=0) as source:
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            found = digest.start()
            while left:
                data = source.read(min(CHUNK, left))
                if not data:
                    raise DamagedError(f"{self.file} is {left} bytes shorter than what was accepted")
                left -= len(data)
                found.update(data)
                if not left:
                    digest.check(found.digest(), self.digest, self.file)
                yield data

    @cached_property
    def traits(self) -> Traits:
        """Read once; OSError where the bytes can't be read."""
        return _traits(self)

    @property
    def head(self) -> bytes:
        """The beginning, with the whole header section; OSError where the bytes can't be read."""
        head = bytearray()
        for data in self.chunks():
            searched = max(0, len(head) - len(_HEADER_END))
            head += data
            if head.find(_HEADER_END, searched) >= 0 or len(head) > LONGEST_HEAD:
                break
        return bytes(head)

    @cached_property
    def header(self) -> bytes:
        """The header section, as far as it stands in the first chunk."""
        first = next(self.chunks(), b"")
        end = first.find(_HEADER_END)
        return first if end < 0 else first[: end + 2]

    @property
    def waives_tls(self) -> bool:
        """`TLS-Required: No` (RFC 8689 section 3); it counts for nothing where REQUIRETLS was asked for."""
        return not self.envelope.requiretls and _TLS_NOT_REQUIRED.search(self.header) is not None

    @property
    def is_tls_report(self) -> bool:
        """One of ours about TLS with its recipient's domain (RFC 8460 section 5.3)."""
        return self.envelope.must_be_signed and _TLS_REPORT.search(self.header) is not None

    @property
    def must_require_tls(self) -> bool:
        """REQUIRETLS binds; where the reverse-path is null it is a wish only (RFC 8689 section 5)."""
        return self.envelope.requiretls and bool(self.envelope.reverse_path)

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.envelope.reverse_path, *(recipient.forward_path for recipient in self.recipients))


@dataclass(frozen=True, slots=True)
class Traits:
    """What the bytes ask of a next hop. `is_broken`: bare CR, bare LF or NUL, which must never go out; `ends_line`:
    the last bytes are CR LF; `has_long_lines`: of more than 998 octets (RFC 5322 section 2.1.1)."""

    is_8bit: bool
    has_utf8_headers: bool
    is_broken: bool
    ends_line: bool
    has_long_lines: bool


def _traits(mail: Mail) -> Traits:
    is_ascii, is_broken, has_utf8_parts, last = True, False, False, b""
    lines = Lines()
    for data in mail.chunks():
        joined = last[-1:] + data if last.endswith(b"\r") else data
        held = joined[:-1] if joined.endswith(b"\r") else joined
        pairs = held.count(b"\r\n")
        is_broken = is_broken or held.count(b"\r") != pairs or held.count(b"\n") != pairs or b"\0" in data
        if not data.isascii():
            is_ascii = False
            has_utf8_parts = has_utf8_parts or _UTF8_PART_HEADER.search(data) is not None
        lines.feed(data)
        last = (last + data)[-2:]
    return Traits(
        is_8bit=not is_ascii,
        has_utf8_headers=has_utf8_parts or not mail.header.isascii(),
        is_broken=is_broken or last.endswith(b"\r"),
        ends_line=last == b"\r\n",
        has_long_lines=lines.end(),
    )


def _read(path: str, at: int, size: int) -> bytes:
    with Path(path).open("rb", buffering=0) as source:
        return os.pread(source.fileno(), size, at)
