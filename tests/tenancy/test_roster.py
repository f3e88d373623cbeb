"""A tenant made equal to a file: what would change, all or nothing; and a file that reads as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.model.errors import ConflictError, UserError
from mailgate.store.commands.on_directory import roster_file
from mailgate.store.commands.on_directory.roster_check import Checker
from mailgate.tenancy.access.rights import LETTERS, Rights, rights_of
from mailgate.tenancy.databases.models import MailboxKind, UserRole
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import roster_tables
from mailgate.tenancy.people.roster import (
    Roster,
    RosterAlias,
    RosterGroup,
    RosterMailbox,
    RosterUser,
    differences,
    own_mailbox,
    retired,
)
from tests.support.clock import ManualClock
from tests.tenancy.conftest import PASSWORD, Commands, authenticate

BOB, ALICE, CAROL, TEAM = (f"{name}@acme.example" for name in ("bob", "alice", "carol", "team"))
FILE = """\
[[users]]
login = "bob@acme.example"
role = "administrator"

[[users]]
login = "Carol@ACME.example"

[[groups]]
name = "sales"
members = ["carol@acme.example"]

[[mailboxes]]
address = "team@acme.example"
quota = 1000000
users = { "bob@acme.example" = "read,write" }
groups = { sales = "lr" }

[[aliases]]
address = "info@acme.example"
mailboxes = ["team@acme.example", "bob@acme.example"]
"""


def compare(run: Commands, text: str) -> list[str]:
    found = run("directory.compare", tenant="acme", text=text, source="acme.toml")["changes"]
    return [f"{each['sign']} {each['kind']} {each['name']}: {', '.join(each['facts'])}" for each in found]


def apply(run: Commands, text: str) -> dict[str, Any]:
    plan = run("directory.compare", tenant="acme", text=text, source="acme.toml")["plan"]
    done: dict[str, Any] = run("directory.apply", tenant="acme", text=text, source="acme.toml", plan=plan)
    return done


def test_the_difference_is_told_and_then_made(directory: Directory, two_tenants: Commands) -> None:
    assert compare(two_tenants, FILE) == [
        "- user alice@acme.example: ",
        "~ user bob@acme.example: role user -> administrator",
        "+ user carol@acme.example: role user, state active",
        "+ group sales: member carol@acme.example",
        "- group staff: ",
        "- mailbox alice@acme.example: ",
        "+ mailbox carol@acme.example: kind personal, state active, "
        "user carol@acme.example read,write,delete,send-as,administer",
        "~ mailbox team@acme.example: user bob@acme.example read,write,delete,send-as -> read,write, "
        "quota 1000000, group sales lr",
        "+ alias info@acme.example: to bob@acme.example, to team@acme.example",
    ]
    assert apply(two_tenants, FILE)["without_password"] == [CAROL]
    assert compare(two_tenants, FILE) == [], "the second time there is nothing to do"
    assert [user["login"] for user in two_tenants("user.list", tenant="acme")] == [BOB, CAROL]
    assert len(directory.recipients.resolve("info", "acme.example").mailboxes) == 2
    assert directory.recipients.resolve("alice", "acme.example").kind == "unknown"
    assert authenticate(directory, BOB, PASSWORD.encode()).ok, "passwords are no matter of the file"
    two_tenants("user.passwd", login=CAROL, password=PASSWORD)
    assert authenticate(directory, CAROL, PASSWORD.encode()).ok


@pytest.mark.parametrize("password", [b"", b"mailgate", PASSWORD.encode()])
def test_nothing_opens_a_user_without_a_password(directory: Directory, two_tenants: Commands, password: bytes) -> None:
    apply(two_tenants, FILE)
    assert not authenticate(directory, CAROL, password).ok


def test_nothing_to_do_leaves_no_trace(two_tenants: Commands) -> None:
    apply(two_tenants, FILE)
    before = two_tenants("audit.list", tenant="acme", limit=1000)
    assert apply(two_tenants, FILE)["changes"] == []
    assert two_tenants("audit.list", tenant="acme", limit=1000) == before
    assert before[-1]["action"] == "directory.apply"
    assert "- user alice@acme.example" in before[-1]["after"]["changes"]


def test_a_mailbox_with_mail_is_retired_and_not_deleted(directory: Directory, two_tenants: Commands) -> None:
    message = Path(two_tenants("mailbox.path", mailbox=ALICE)) / "new" / "1"
    message.write_text("kept")
    kept = f"~ mailbox {ALICE}: state active -> disabled, no user {ALICE}"
    assert kept in compare(two_tenants, FILE)
    apply(two_tenants, FILE)
    assert message.read_text() == "kept"
    assert directory.recipients.resolve("alice", "acme.example").kind == "disabled"
    assert compare(two_tenants, FILE) == []
    assert f'address = "{ALICE}"\nkind = "personal"\nstate = "disabled"\n' in two_tenants(
        "directory.export", tenant="acme"
    )


def test_another_tenant_is_left_as_it_is(two_tenants: Commands) -> None:
    before = two_tenants("directory.export", tenant="bcme")
    apply(two_tenants, FILE)
    assert two_tenants("directory.export", tenant="bcme") == before
    assert "acme" not in before.replace("bcme", "")


def test_who_changed_something_meanwhile_is_not_overruled(two_tenants: Commands) -> None:
    plan = two_tenants("directory.compare", tenant="acme", text=FILE, source="acme.toml")["plan"]
    two_tenants("user.add", tenant="acme", login="dave@acme.example", password=PASSWORD)
    before = two_tenants("directory.export", tenant="acme")
    with pytest.raises(ConflictError, match="was changed meanwhile"):
        two_tenants("directory.apply", tenant="acme", text=FILE, source="acme.toml", plan=plan)
    assert two_tenants("directory.export", tenant="acme") == before


def test_an_error_in_the_middle_leaves_nothing_half_done(
    two_tenants: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = two_tenants("directory.export", tenant="acme")

    def fail(*_: object) -> None:
        raise ConflictError("no such luck")

    monkeypatch.setattr(roster_tables.aliases, "add_alias", fail)
    with pytest.raises(ConflictError, match=r"^acme\.toml:19: no such luck; nothing was changed$"):
        apply(two_tenants, FILE)
    assert two_tenants("directory.export", tenant="acme") == before


def test_a_name_taken_by_a_retired_mailbox_is_told_with_its_line(two_tenants: Commands) -> None:
    (Path(two_tenants("mailbox.path", mailbox=ALICE)) / "new" / "1").write_text("kept")
    text = FILE + '\n[[aliases]]\naddress = "alice@acme.example"\nmailboxes = ["bob@acme.example"]\n'
    with pytest.raises(ConflictError, match=r"acme\.toml:23: address alice@acme\.example exists already"):
        apply(two_tenants, text)


def test_an_address_changes_from_alias_to_mailbox_and_back(directory: Directory, two_tenants: Commands) -> None:
    apply(two_tenants, FILE)
    alias = FILE[FILE.index("[[aliases]]") :]
    as_mailbox = FILE.replace(alias, '[[mailboxes]]\naddress = "info@acme.example"\n')
    assert compare(two_tenants, as_mailbox) == [
        "+ mailbox info@acme.example: kind shared, state active",
        "- alias info@acme.example: ",
    ]
    apply(two_tenants, as_mailbox)
    assert len(directory.recipients.resolve("info", "acme.example").mailboxes) == 1
    apply(two_tenants, FILE)
    assert len(directory.recipients.resolve("info", "acme.example").mailboxes) == 2


def test_a_user_goes_and_another_keeps_the_mailbox(directory: Directory, two_tenants: Commands) -> None:
    text = f"""\
[[users]]
login = "{BOB}"

[[mailboxes]]
address = "{ALICE}"
kind = "personal"
users = {{ "{BOB}" = "read" }}
"""
    apply(two_tenants, text)
    assert directory.recipients.resolve("alice", "acme.example").kind == "mailbox"
    assert compare(two_tenants, text) == []


def test_a_lock_is_no_matter_of_the_file(directory: Directory, two_tenants: Commands) -> None:
    text = two_tenants("directory.export", tenant="acme")
    with directory.changing("acme") as work:
        roster_tables.people.find_user(work, BOB).state = roster_tables.UserState.LOCKED
    assert two_tenants("directory.export", tenant="acme") == text
    assert compare(two_tenants, text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[users]\n", "f.toml:1: not valid TOML: "),
        ("\n[[users]]\nlogin = 1\n", "f.toml:3: users.1.login: input should be a valid string"),
        ("[[users]]\n", "f.toml:1: users.1.login is missing"),
        ("[[user]]\nlogin = 'x'\n", "f.toml:1: user: unknown key"),
        ("[[users]]\nlogin = 'bob@acme.example'\npassword = 'x'\n", "f.toml:3: users.1.password: unknown key"),
        ("[[users]]\nlogin = 'bob@acme.example'\nrole = 'god'\n", "f.toml:3: users.1.role: input should be 'user' or"),
        ("[[users]]\nlogin = 'bob@bcme.example'\n", "f.toml:2: address 'bob@bcme.example': bcme.example is not a"),
        ("[[users]]\nlogin = '../x@acme.example'\n", "f.toml:2: address "),
        ("users = [{login = 'b@acme.example'},\n{login = 'B@acme.example'}]", "f.toml:2: user b@acme.example is in li"),
        (
            "users = [{login = 'pay@acme.example'},\n{login = '\u0440\u0430\u0443@acme.example'}]",
            "f.toml:2: user \u0440\u0430\u0443@acme.example looks like pay@acme.example in line 1",
        ),
        ("[[groups]]\nname = 'x'\nmembers = ['no@acme.example']\n", "f.toml:3: there is no user 'no@acme.example' in"),
        ("[[groups]]\nname = 'x'\nmembers = ['no']\n", "f.toml:3: there is no user 'no' in this file"),
        ("[[mailboxes]]\naddress = 't@acme.example'\ngroups = {no = 'read'}\n", "f.toml:3: there is no group 'no' in"),
        ("[[mailboxes]]\naddress = 't@acme.example'\nquota = -1\n", "f.toml:3: mailboxes.1.quota: input should be gr"),
        (
            "groups = [{name = 'g'}]\n[[mailboxes]]\naddress = 't@acme.example'\ngroups = {g = 'everything'}\n",
            "f.toml:4: right 'everything': give read",
        ),
        (
            "groups = [{name = 'g'}]\n[[mailboxes]]\naddress = 't@acme.example'\ngroups = {g = 'r', G = 'r'}\n",
            "f.toml:4: group g is named twice",
        ),
        (
            "[[users]]\nlogin = 'b@acme.example'\n"
            "[[aliases]]\naddress = 'b@acme.example'\nmailboxes = ['b@acme.example']\n",
            "f.toml:4: b@acme.example is the address of a mailbox",
        ),
        ("[[aliases]]\naddress = 'x@acme.example'\nmailboxes = []\n", "f.toml:3: aliases.1.mailboxes: list should hav"),
        ("a = " + "[" * 5000, "f.toml:1: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(two_tenants: Commands, text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        two_tenants("directory.compare", tenant="acme", text=text, source="f.toml")
    assert str(refused.value).startswith(told)


def test_all_that_is_wrong_is_told_at_once(two_tenants: Commands) -> None:
    text = "".join(f"[[users]]\nlogin = 'x y{n}@acme.example'\n" for n in range(60))
    with pytest.raises(UserError) as refused:
        two_tenants("directory.compare", tenant="acme", text=text, source="f.toml")
    lines = str(refused.value).splitlines()
    assert len(lines) == 51
    assert lines[1].startswith("f.toml:4: ")
    assert lines[-1] == "... and 10 more"


# Any roster

logins = st.sampled_from([f"{name}@acme.example" for name in ("ann", "ben", "cyd", "o'neil", "müller", "a.b-c")])
names = st.sampled_from(["sales", "söhne", "a.b", "x_1"])
shared = st.sampled_from([f"{name}@acme.example" for name in ("post", "shop", "ann")])
rights = st.sets(st.sampled_from(LETTERS), min_size=1).map(lambda chosen: rights_of("".join(chosen)))


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    users = draw(st.dictionaries(logins, st.builds(RosterUser, st.sampled_from(UserRole), st.booleans())))
    members = st.frozensets(st.sampled_from(sorted(users))) if users else st.just(frozenset[str]())
    groups = draw(st.dictionaries(names, st.builds(RosterGroup, members)))

    def holders(among: Any) -> st.SearchStrategy[dict[str, Rights]]:
        return st.dictionaries(st.sampled_from(sorted(among)), rights) if among else st.just({})

    quota = st.none() | st.integers(0, 2**40)
    boxes = st.builds(
        RosterMailbox, st.sampled_from(MailboxKind), st.booleans(), quota, holders(users), holders(groups)
    )
    mailboxes = draw(st.dictionaries(shared, boxes))
    for login in users:
        if login not in mailboxes and draw(st.booleans()):
            mailboxes[login] = own_mailbox(login)
    if not mailboxes:
        return Roster(users, groups)
    leads = st.frozensets(st.sampled_from(sorted(mailboxes)), min_size=1).map(RosterAlias)
    free = st.sampled_from(["info@acme.example", "mail@acme.example"])
    return Roster(users, groups, mailboxes, draw(st.dictionaries(free, leads)))


@given(rosters())
def test_what_is_written_reads_the_same(roster: Roster) -> None:
    tables, problems = roster_file.read_tables(roster_file.render(roster, "acme"), "acme.toml")
    assert Checker(["acme.example"], problems).roster(tables) == roster


@given(rosters(), rosters())
def test_two_rosters_differ_exactly_where_they_are_not_equal(one: Roster, other: Roster) -> None:
    assert (differences(one, other) == []) == (one == other)
    changed = {(each.name, each.sign) for each in differences(one, other)}
    mirrored = {"+": "-", "-": "+", "~": "~"}
    assert {(name, mirrored[sign]) for name, sign in changed} == {
        (each.name, each.sign) for each in differences(other, one)
    }
    assert all(each.facts for each in differences(one, other) if each.sign == "~")


@settings(max_examples=15, deadline=None)
@given(st.lists(rosters(), min_size=2, max_size=4))
def test_any_roster_can_follow_any_other(tmp_path_factory: pytest.TempPathFactory, targets: list[Roster]) -> None:
    directory = Directory(tmp_path_factory.mktemp("data"), ManualClock())
    directory.life.add("acme", ["acme.example"])
    for target in targets:
        with directory.changing("acme") as work:
            assert roster_tables.reachable(work, target) == target
            roster_tables.apply(work, target)
        with directory.reading("acme") as work:
            assert roster_tables.read(work) == target
    directory.close()


@given(rosters())
def test_changes_are_json(roster: Roster) -> None:
    lines = [str(change) for change in differences(Roster(), roster)]
    assert json.loads(json.dumps(lines)) == lines
    assert all(line.isprintable() for line in lines)


def test_a_retired_mailbox_has_no_holders() -> None:
    assert retired(own_mailbox(BOB)) == RosterMailbox(MailboxKind.PERSONAL, is_active=False)
