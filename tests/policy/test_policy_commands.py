"""`mailgate policy …` for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mailgate.cli.policy import app
from mailgate.policy import reference
from tests.policy.making import write


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("POLICY_DIR", "MESSAGE_SIZE_LIMIT"):
        monkeypatch.delenv(f"MAILGATE_{name}", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return write(
        tmp_path / "made",
        '[limits]\nmessage_size = "1 MiB"\n[[attachments]]\nname = "large"\naction = "reject"\nlarger_than = "2 MiB"\n',
        acme='[limits]\nparts = 7\n[[attachments]]\nname = "own"\naction = "accept"\nextension = ["a", "b"]\n'
        "encrypted = false\n",
    )


def test_check_of_valid_policies(folder: Path) -> None:
    result = run("check", str(folder))
    assert result.exit_code == 0
    assert "valid" in result.stdout


def test_check_lists_every_error_with_file_and_line(folder: Path) -> None:
    (folder / "tenants" / "beta.toml").write_text("\n[limits]\nparts = 0\nx = 1\n")
    result = run("check", str(folder))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{folder}/tenants/beta.toml:{line}" for line in (3, 4)]
    assert "2 errors" in result.stderr


def test_markup_in_a_policy_is_printed_as_it_is(folder: Path) -> None:
    (folder / "gateway.toml").write_text('language = "[red]en[/red]"\n')
    assert '"[red]en[/red]"' in run("check", str(folder)).stdout


def test_folder_of_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILGATE_POLICY_DIR", str(folder))
    assert run("check").exit_code == 0
    monkeypatch.setenv("MAILGATE_MESSAGE_SIZE_LIMIT", "70000")
    assert run("check").exit_code == 1


@pytest.mark.parametrize(
    "arguments", [("check", "nowhere"), ("check", "--unknown"), ("explain", "--tenant"), ("unknown",)]
)
def test_wrong_use(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_wrong_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILGATE_MESSAGE_SIZE_LIMIT", "many")
    result = run("check", str(folder))
    assert result.exit_code == 2
    assert "MAILGATE_MESSAGE_SIZE_LIMIT" in result.stderr


def test_explain_for_people(folder: Path) -> None:
    lines = run("explain", str(folder), "--tenant", "acme").stdout.splitlines()
    assert "limits.message_size\t1 MiB\tgateway.toml" in lines
    assert "limits.parts\t7\ttenants/acme.toml" in lines
    assert "language\ten\tbuilt-in" in lines
    assert lines[-2:] == [
        'tenants/acme.toml: attachments[1] "own"\taccept\textension a or b; encrypted no',
        'gateway.toml: attachments[1] "large"\treject\tlarger_than 2 MiB',
    ]


def test_explain_for_programs(folder: Path) -> None:
    found = json.loads(run("explain", str(folder), "--tenant", "acme", "--json").stdout)
    assert {"key": "limits.parts", "value": 7, "source": "tenants/acme.toml"} in found["values"]
    assert found["attachments"][0] == {
        "rule": 'tenants/acme.toml: attachments[1] "own"',
        "action": "accept",
        "conditions": {"extension": ["a", "b"], "encrypted": False},
    }


def test_explain_without_a_tenant_is_the_gateways(folder: Path) -> None:
    found = json.loads(run("explain", str(folder), "--json").stdout)
    assert {"key": "limits.parts", "value": 1000, "source": "built-in"} in found["values"]
    assert len(found["attachments"]) == 1


def test_explain_of_invalid_policies(folder: Path) -> None:
    (folder / "gateway.toml").unlink()
    assert run("explain", str(folder)).exit_code == 1


def test_schema() -> None:
    assert json.loads(run("schema").stdout) == reference.json_schema()


def test_reference() -> None:
    assert run("reference").stdout == reference.markdown()
