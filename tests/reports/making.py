"""What mail showed, for the tests of reports."""

from __future__ import annotations

from typing import Any

from mailgate.model.dmarc import DkimSeen, PublishedPolicy, Seen

POLICY = PublishedPolicy("author.example", "reject", adkim="s")


def seen(domain: str = "author.example", **more: Any) -> Seen:
    """Mail from 192.0.2.1 that failed and was rejected."""
    given: dict[str, Any] = {
        "policy": PublishedPolicy(domain, "reject", adkim="s"),
        "source": "192.0.2.1",
        "disposition": "reject",
        "dkim": False,
        "spf": False,
        "header_from": domain,
        "envelope_from": "evil.example",
        "dkim_results": (DkimSeen("evil.example", "s", "pass"),),
        "spf_domain": "evil.example",
        "spf_result": "softfail",
    }
    return Seen(**{**given, **more})
