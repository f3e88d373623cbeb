"""Every command that creates something, given every kind of name that must not be: refused with a text that can be
shown, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailgate.cli import people_csv
from mailgate.model.errors import MailgateError, UserError
from tests.tenancy.conftest import PASSWORD, Commands

INVISIBLE = {
    "NUL": "bo\0b",
    "line feed": "bo\nb",
    "escape sequence": "bo\x1b[31mb",
    "right-to-left override": "bo\u202eb",
    "right-to-left mark": "bo\u200fb",
    "zero width space": "bo\u200bb",
    "lone surrogate": "bo\ud800b",
}
TOO_LONG = {"1,000 characters": "b" * 1000, "1,000 letters beyond ASCII": "ü" * 1000}
PATHS = {"slash": "a/b", "path": "../../etc/passwd", "backslash": "a\\b", "dot": ".", "dots": "..", "dot first": ".bob"}
CONFUSABLE = {"Cyrillic letter": "b\u043eb", "full-width letter": "\uff42ob", "two @": "a@b", "option": "--help"}
NAMES = INVISIBLE | TOO_LONG | PATHS | CONFUSABLE | {"nothing": ""}

KEY = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

Create = Callable[[Commands, str], None]


def refused(answers: list[str]) -> None:
    """As an import refuses: line by line."""
    for answer in answers:
        if answer:
            raise UserError(answer)


def table(kind: str, key: str, name: str) -> dict[str, str]:
    return {"tenant": "acme", "text": f"[[{kind}]]\n{key} = {json.dumps(name)}\n", "source": "acme.toml"}


def from_csv(run: Commands, name: str) -> None:
    quoted = name.replace('"', '""')
    for line in people_csv.read(["login,groups\n", f'"{quoted}@acme.example",\n']):
        refused([line.fault] if line.fault else run("user.import", tenant="acme", rows=[line.row]))


CREATE: dict[str, Create] = {
    "tenant": lambda run, name: run("tenant.add", name=name, domains=[]),
    "domain": lambda run, name: run("tenant.domain.add", tenant="acme", domain=name),
    "user": lambda run, name: run("user.add", tenant="acme", login=f"{name}@acme.example", password=PASSWORD),
    "user of a CSV file": from_csv,
    "group": lambda run, name: run("group.add", tenant="acme", name=name),
    "mailbox": lambda run, name: run("mailbox.add", tenant="acme", address=f"{name}@acme.example"),
    "alias": lambda run, name: run(
        "alias.add", tenant="acme", address=f"{name}@acme.example", targets=["bob@acme.example"]
    ),
    "list": lambda run, name: run("alias.add", tenant="acme", address=f"{name}@acme.example", groups=["staff"]),
    "operator": lambda run, name: run("operator.add", name=name, key=KEY),
    "user of a directory file": lambda run, name: run(
        "directory.compare", **table("users", "login", f"{name}@acme.example")
    ),
    "mailbox of a directory file": lambda run, name: run(
        "directory.compare", **table("mailboxes", "address", f"{name}@acme.example")
    ),
    "group of a directory file": lambda run, name: run("directory.compare", **table("groups", "name", name)),
}
# `@acme.example` is an alias for all others of the domain
MEANS_ALL_OTHERS = {("alias", "nothing"), ("list", "nothing")}
LABELS: dict[str, Create] = {
    "app password": lambda run, name: run("apppassword.add", login="bob@acme.example", name=name),
    "role": lambda run, name: run("user.role", login="bob@acme.example", role=name),
}


def everything(run: Commands) -> str:
    lists = [run(f"{kind}.list", tenant="acme") for kind in ("user", "group", "mailbox", "alias", "audit")]
    return json.dumps(
        [run("tenant.list"), run("operator.list"), run("apppassword.list", login="bob@acme.example"), lists]
    )


def check_refused(run: Commands, creates: dict[str, Create], names: dict[str, str]) -> None:
    before = everything(run)
    for kind, create in creates.items():
        for called, name in names.items():
            if (kind, called) in MEANS_ALL_OTHERS:
                continue
            with pytest.raises(MailgateError) as error:
                create(run, name)
            text = str(error.value)
            assert all(line.isprintable() for line in text.splitlines()), (kind, ascii(text))
            assert 10 < len(text) < 400, (kind, called)
        assert everything(run) == before, kind


def test_no_command_creates_it(two_tenants: Commands) -> None:
    check_refused(two_tenants, CREATE, NAMES)


def test_what_is_no_address_has_no_hidden_character_either(two_tenants: Commands) -> None:
    check_refused(two_tenants, LABELS, INVISIBLE | TOO_LONG | {"nothing": ""})


def test_no_command_creates_what_looks_like_another(two_tenants: Commands) -> None:
    kinds = ("user", "user of a CSV file", "group", "mailbox", "alias", "list")
    taken = {"pay": "\u0440\u0430\u0443", "bob.smith": "bob.sm\u0131th", "jos\u00e9": "JOSE\u0301", "dup": "DUP"}
    for name in taken:
        two_tenants("alias.add", tenant="acme", address=f"{name}@acme.example", targets=["bob@acme.example"])
        two_tenants("group.add", tenant="acme", name=name)
    check_refused(two_tenants, {kind: CREATE[kind] for kind in kinds}, taken)
