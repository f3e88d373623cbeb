"""Comments in header fields (RFC 5322 section 3.2.2)."""

from __future__ import annotations


def after_comment(text: str, at: int) -> int:
    """Where the comment that begins at `at` ends, nested ones included; -1 where it does not."""
    depth = 0
    while at < len(text):
        depth += (text[at] == "(") - (text[at] == ")")
        at += 2 if text[at] == "\\" else 1
        if not depth:
            return at
    return -1
