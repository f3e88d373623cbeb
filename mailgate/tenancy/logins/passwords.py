"""Password hashes: argon2id with its parameters in one place. Pure but for the processor time, so a pool can run it."""

from __future__ import annotations

import re
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailgate.model.errors import UserError

SHORTEST = 10  # characters
LONGEST = 256  # characters
SCORED = 64  # characters: estimating takes longer than linear time, and nobody guesses that many

# OWASP's smallest setting of argon2id: 19 MiB and 2 passes, on one core, so that a pool of N uses N cores and 19 N MiB.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16)

# Verified in place of an account that does not exist: the answer takes the same time. Nobody knows its password.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$mo+o0lNCK+8hHfd2WNsE+w$uZyRbx5E7GeqRj/4FYeiqEz/YJW/h94bMZ+7XomvQ10"


def prepared(password: str) -> bytes:
    """The octets that are hashed (RFC 8265 section 4.2.2, OpaqueString): other spaces become U+0020, then NFC."""
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password)
    return unicodedata.normalize("NFC", spaced).encode("utf-8", "surrogatepass")


def check_strength(password: str, login: str) -> None:
    """Raises UserError with the reason why this password is not accepted."""
    if len(password) < SHORTEST:
        raise UserError(f"password refused: it has {len(password)} characters, at least {SHORTEST} are needed")
    if len(password) > LONGEST:
        raise UserError(f"password refused: it has more than {LONGEST} characters")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in password):
        raise UserError("password refused: it holds a control character, which mail programs can't send")
    if password.casefold() in (login.casefold(), login.partition("@")[0].casefold()):
        raise UserError("password refused: it is the login name")
    if len(set(password)) < 4:
        raise UserError("password refused: it repeats fewer than 4 different characters")


def check_score(password: str, login: str, tenant: str, minimum: int) -> None:
    """Raises UserError where the password is easier to guess than `minimum` (0 to 4, as zxcvbn counts), given the names
    that anybody knows."""
    from zxcvbn import zxcvbn  # imported here: its word lists take 14 MB, and most processes set no password

    known = [login, *re.split(r"[@.]", login), tenant]
    found = zxcvbn(password[:SCORED], user_inputs=known)
    if found["score"] < minimum:
        feedback = found["feedback"]
        advice = " ".join(text for text in (feedback["warning"], *feedback["suggestions"]) if text)
        raise UserError(
            f"password refused: too easy to guess (strength {found['score']} of 4, at least {minimum} is needed). "
            + (advice or "Add another word or two.")
        )


def hashed(password: str, login: str, tenant: str = "", minimum_score: int = 0) -> str:
    """The encoded hash of a new password of `login`; raises UserError with the reason where it is refused."""
    check_strength(password, login)
    check_score(password, login, tenant, minimum_score)
    return HASHER.hash(prepared(password))


def verify(password_hash: str, password: bytes) -> bool:
    """Whether `password`, as the client sent it, is the one behind the hash. Some 20 ms of one core either way."""
    try:
        octets = prepared(password.decode())
    except UnicodeDecodeError:
        octets = password  # matches no password, yet is hashed like one
    try:
        return HASHER.verify(password_hash, octets)
    except (VerificationError, InvalidHashError):
        return False
