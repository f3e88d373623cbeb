"""Parts that stand for a content which is not in the message (RFC 2046 sections 5.2.2 and 5.2.3)."""

from __future__ import annotations


def lies_elsewhere(content_type: str, enclosing: str) -> str:
    """The defect of a leaf whose content is not in this message. Only a whole message is put together out of fragments
    (RFC 2046 section 5.2.2), and an external body among alternatives is a link that nobody has to follow."""
    if content_type == "message/partial":
        return "message-partial-inside" if enclosing else "message-partial"
    if content_type == "message/external-body":
        return "external-body-alternative" if enclosing == "multipart/alternative" else "external-body"
    return ""
