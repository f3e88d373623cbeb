"""The policy in force is never a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.model.errors import UserError
from mailgate.ops.checks import Status, policies_in_force
from mailgate.settings import Settings
from mailgate.store.policies import Policies, check_start, last_good_file

GOOD = "[limits]\nrecipients = 100\n"
WRONG = "[limits]\nrecipients = 'many'\n[nonsense]\n"


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "gateway.toml").write_text(GOOD)
    return settings.model_copy(update={"policy_dir": folder})


@pytest.fixture
def published() -> list[str]:
    return []


@pytest.fixture
def start(own: Settings, published: list[str]):  # type: ignore[no-untyped-def]
    return lambda: Policies(own, lambda version, encoded: published.append(version))


def write(own: Settings, text: str) -> None:
    (own.policy_dir / "gateway.toml").write_text(text)


def test_the_folders_policy_is_published(start, published: list[str]) -> None:  # type: ignore[no-untyped-def]
    made = start()
    assert published == [made.current.version]
    assert made.current.for_gateway.limits.recipients == 100


def test_without_any_good_policy_there_is_no_start(own: Settings, start) -> None:  # type: ignore[no-untyped-def]
    write(own, WRONG)
    with pytest.raises(UserError) as caught:
        start()
    assert "recipients" in str(caught.value)
    assert "nonsense" in str(caught.value)


def test_a_start_with_wrong_policies_takes_the_last_good_one(  # type: ignore[no-untyped-def]
    own: Settings, start, caplog: pytest.LogCaptureFixture
) -> None:
    version = start().current.version
    write(own, WRONG)
    again = start()
    assert again.current.version == version
    assert "stays in force" in caplog.text
    assert "recipients" in caplog.text


def test_a_damaged_last_good_one_is_no_policy(own: Settings, start) -> None:  # type: ignore[no-untyped-def]
    start()
    (own.data_dir / "policy" / "last-good.json").write_text("{")
    write(own, WRONG)
    with pytest.raises(UserError):
        start()


def test_a_wrong_reload_changes_nothing(own: Settings, start, published: list[str]) -> None:  # type: ignore[no-untyped-def]
    made = start()
    before = made.current
    write(own, WRONG)
    with pytest.raises(UserError):
        made.reload()
    assert made.current is before
    assert published == [before.version]


def test_a_good_reload_is_in_force_and_survives(own: Settings, start, published: list[str]) -> None:  # type: ignore[no-untyped-def]
    made = start()
    write(own, GOOD.replace("100", "200"))
    assert made.reload() is made.current
    assert made.current.for_gateway.limits.recipients == 200
    assert len(set(published)) == 2
    write(own, WRONG)
    assert start().current.version == made.current.version


def test_a_start_says_everything_where_the_last_good_one_cant_be_used(own: Settings, start) -> None:  # type: ignore[no-untyped-def]
    check_start(own)
    write(own, WRONG)
    with pytest.raises(UserError, match="recipients"):
        check_start(own)
    write(own, GOOD)
    made = start()
    write(own, WRONG)
    check_start(own)
    last_good_file(own.data_dir).write_text('{"format": 0}')
    with pytest.raises(UserError) as caught:
        check_start(own)
    for word in ("recipients", "nonsense", "last-good.json", "correct the policies"):
        assert word in str(caught.value)
    assert made.refused == ""


def test_what_was_refused_is_told_until_it_is_right(own: Settings, start) -> None:  # type: ignore[no-untyped-def]
    start()
    write(own, WRONG)
    made = start()
    assert "nonsense" in made.refused
    assert policies_in_force(made.refused).status is Status.WARN
    write(own, GOOD)
    made.reload()
    assert made.refused == ""
    assert policies_in_force(made.refused).status is Status.OK
