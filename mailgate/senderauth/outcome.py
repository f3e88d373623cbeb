"""The results of the checks, in the words of Authentication-Results (RFC 8601 section 2.7)."""

from __future__ import annotations

import enum


class Outcome(enum.StrEnum):
    """NEUTRAL: nothing can be said; POLICY: it verifies, but such signatures are not accepted; TEMPERROR: the DNS did
    not answer; PERMERROR: what was published or sent can't be read."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 (not a password)
    FAIL = "fail"
    SOFTFAIL = "softfail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
