"""What is a tar file, and which of them nobody can take for something else. Pure."""

from __future__ import annotations

import re

_CHECKSUM = slice(148, 156)
_BLOCK = 512
# Begins like nothing else: the first octets of a tar file are a name that its maker chose.
_PLAIN = re.compile(rb"(?!begin)[a-z_./-][a-z0-9_./-]{0,7}\0*\Z")


def is_tar(data: bytes) -> bool:
    """By its mark (POSIX.1-1988), or by the checksum of its first header: older ones have nothing else."""
    if data[257:262] == b"ustar":
        return True
    head = data[:_BLOCK]
    told = head[_CHECKSUM].strip(b" \0")
    if len(head) < _BLOCK or not head[0] or not told or told.strip(b"01234567"):
        return False
    return sum(head) - sum(head[_CHECKSUM]) + 8 * 32 == int(told, 8)


def is_plain(head: bytes) -> bool:
    """Whether a scanner that goes by the first octets can't take it for another kind of file."""
    return _PLAIN.match(head[:8]) is not None
