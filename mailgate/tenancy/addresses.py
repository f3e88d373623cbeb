"""Addresses and names of this gateway's tenants: the form they are compared in, and what may be created.

Comparing takes anything that the SMTP parser let through; creating is strict, so that no two addresses of one domain
look alike and no name can be mistaken for a path, an option or markup."""

from __future__ import annotations

import re
import unicodedata

from mailgate.model.address import LOCAL_LIMIT, LONGEST_PATH, AddressError, parse_domain
from mailgate.model.envelope import TenantName
from mailgate.model.errors import UserError

ON_DUTY = frozenset({"postmaster", "abuse"})
"""Local parts that every domain has (RFC 5321 section 4.5.1, RFC 2142)."""
LABEL_SEPARATOR = "+"  # `bob+shop@` is delivered to `bob@`

_TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_WRAPPED = re.compile(r"srs[01][=+-]")
_ASCII_LOCAL = re.compile(r"[a-z0-9_'&=~#$*^`{|}?-]+(?:\.[a-z0-9_'&=~#$*^`{|}?-]+)*")

# Letters that most typefaces draw like a Latin one: Cyrillic, Greek, dotless i (a small part of UTS 39, casefolded).
_LOOKALIKES = str.maketrans("ıавеонкмрстухіјѕһԁԛԝӏαεοινκρτυχγ", "iabeohkmpctyxijshdqwlaeoivkptuxy")

# Scripts that are written together; letters of any other pair in one local part are refused.
_SCRIPT_SETS = (
    frozenset({"LATIN"}),
    frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "LATIN"}),
    frozenset({"CJK", "HANGUL", "LATIN"}),
    frozenset({"CJK", "BOPOMOFO", "LATIN"}),
)


def canonical_local(local: str) -> str:
    """The form that local parts are compared in: canonical caseless (Unicode 3.13 D145), then NFC. Idempotent."""
    if local.isascii():
        return local.lower()
    folded = unicodedata.normalize("NFD", local).casefold()
    return unicodedata.normalize("NFC", folded)


def canonical(address: str) -> str:
    """`local@domain` in the form that addresses are compared in; raises AddressError where it can't be an address."""
    local, at, domain = address.rpartition("@")
    if not local or not at or not address.isprintable():
        raise AddressError("address must be local-part@domain")
    return f"{canonical_local(local)}@{parse_domain(domain)}"


def is_same_address(address: str, other: str) -> bool:
    """`other` is canonical."""
    try:
        return canonical(address) == other
    except AddressError:
        return False


def is_catch_all(address: str) -> bool:
    """`@domain` stands for all addresses of a domain that do not exist."""
    return address.startswith("@")


def canonical_or_catch_all(address: str) -> str:
    """Like `canonical`, and takes `@domain`, too."""
    return f"@{parse_domain(address[1:])}" if is_catch_all(address) else canonical(address)


def without_label(local: str) -> str:
    """`bob` for `bob+shop`; the local part itself where it carries no label, or nothing stands in front of it."""
    base = local.partition(LABEL_SEPARATOR)[0]
    return base or local


def is_on_duty(local: str, has_labels: bool) -> bool:
    """Is it one of `ON_DUTY`, be it with a label?"""
    folded = canonical_local(local)
    return (without_label(folded) if has_labels else folded) in ON_DUTY


def skeleton(address: str) -> str:
    """Canonical addresses with the same skeleton look alike: letters become their Latin doubles."""
    local, _, domain = address.rpartition("@")
    return f"{name_skeleton(local)}@{domain}"


def name_skeleton(name: str) -> str:
    """The same for a canonical local part or name of a group."""
    return name.translate(_LOOKALIKES)


def new_tenant_name(name: str) -> TenantName:
    """The name of a tenant to be created, as it will stand in `policies/tenants/<name>.toml`; raises UserError."""
    if not _TENANT_NAME.fullmatch(name):
        raise UserError(
            f"tenant name {shown(name)}: it must be 1 to 63 characters of a-z, 0-9 and '-', and not begin with '-'"
        )
    return TenantName(name)


def new_domain(domain: str) -> str:
    """The A-label form of a domain to be hosted; raises UserError."""
    if not domain.isprintable():
        raise UserError(f"domain {shown(domain)}: it holds a control character, a space or an invisible character")
    try:
        found = parse_domain(domain)
        _check_labels(found)
    except AddressError as error:
        raise UserError(f"domain {shown(domain)}: {error}") from None
    if "_" in found:
        raise UserError(f"domain {shown(domain)}: a host name can't hold '_' (RFC 952)")
    if found.startswith("[") or "." not in found:
        raise UserError(f"domain {shown(domain)}: a full domain name is needed, for example acme.example")
    if found.rpartition(".")[2].isdigit():
        raise UserError(f"domain {shown(domain)}: it looks like an IP address")
    return found


def _check_labels(domain: str) -> None:
    """A label that begins with xn-- must be the one form of the name that it stands for."""
    for label in domain.split("."):
        if not label.startswith("xn--"):
            continue
        try:
            unicode_label = label[4:].encode("ascii").decode("punycode")
        except UnicodeError:
            unicode_label = ""
        if not unicode_label or unicode_label.isascii() or parse_domain(unicode_label) != label:
            raise AddressError(f"{label!r} is not a valid A-label")


def new_address(address: str) -> str:
    """The canonical form of an address to be created; raises UserError that says which rule it breaks."""
    local, at, domain = address.rpartition("@")
    if not local or not at:
        raise UserError(f"address {shown(address)}: write it as name@domain")
    folded = canonical_local(local)
    fault = _fault_of(local, folded)
    if fault:
        raise UserError(f"address {shown(address)}: {fault}")
    found = f"{folded}@{new_domain(domain)}"
    if len(found.encode()) > LONGEST_PATH:
        raise UserError(f"address {shown(address)}: longer than {LONGEST_PATH} octets")
    return found


def new_group_name(name: str) -> str:
    """The canonical form of the name of a group to be created, by the rules of local parts; raises UserError."""
    folded = canonical_local(name)
    fault = _fault_of(name, folded, "it") if name else "it is empty"
    if fault:
        raise UserError(f"group name {shown(name)}: {fault}")
    return folded


def _fault_of(local: str, folded: str, what: str = "the part before @") -> str:
    """Why no address with this local part may be created; empty where it may."""
    if not (local.isprintable() and folded.isprintable()) or " " in local:
        return f"{what} holds a control character, a space or an invisible character"
    if len(folded.encode()) > LOCAL_LIMIT:
        return f"{what} is longer than {LOCAL_LIMIT} octets"
    if LABEL_SEPARATOR in local:
        return f"'{LABEL_SEPARATOR}' can't be part of it: what follows is a label that its owner chooses"
    if _WRAPPED.match(folded):
        return "what begins with srs0= or srs1= is for bounces of forwarded mail"
    if any(char in local for char in '/\\%!@"<>()[],:;'):
        return "slashes, %, !, quotes and brackets can't be part of it"
    if local.startswith((".", "-")) or local.endswith(".") or ".." in local:
        return "a dot can't stand first, last or twice in a row, and '-' can't stand first"
    if folded.isascii():
        return "" if _ASCII_LOCAL.fullmatch(folded) else "it holds a character that is not allowed"
    return _unicode_fault(folded)


def _unicode_fault(folded: str) -> str:
    if unicodedata.normalize("NFKC", folded) != folded:
        return "it holds a compatibility character (such as a ligature or a full-width letter): use the plain one"
    previous_is_letter = False
    for char in folded:
        category = unicodedata.category(char)
        if category in ("Mn", "Mc"):
            if not previous_is_letter:
                return "a combining mark must follow a letter"
        elif category[0] == "L" or category == "Nd":
            previous_is_letter = True
        elif char in "._-'":
            previous_is_letter = False
        else:
            return f"U+{ord(char):04X} is not allowed: letters, digits and . _ - ' are"
    if _mixes_scripts(folded):
        return "it mixes letters of several scripts, which can be mistaken for another address"
    return ""


def _mixes_scripts(folded: str) -> bool:
    scripts = {unicodedata.name(char, "?").split()[0] for char in folded if unicodedata.category(char)[0] == "L"}
    return len(scripts) > 1 and not any(scripts <= together for together in _SCRIPT_SETS)


def shown(text: str) -> str:
    """Text of a person for an error message: quoted, one line, no invisible or reordering characters, 60 at most."""
    return ascii(text if len(text) <= 60 else text[:57] + "...") if not text.isprintable() else repr(text[:60])
