from __future__ import annotations

import pytest

from tests.support import components

pytest_plugins = ["pytester"]


def outcome(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: bool) -> pytest.RunResult:
    monkeypatch.setenv("MAILGATE_REQUIRE_COMPONENTS", "1" if required else "")
    monkeypatch.setitem(components.COMPONENTS, "absent", lambda: "absent is not installed")
    monkeypatch.setitem(components.COMPONENTS, "there", lambda: "")
    pytester.makeini("[pytest]\nmarkers = component(name): x")
    pytester.makeconftest("from tests.conftest import pytest_runtest_setup")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.component("absent", "there")
        def test_needs_it(): pass

        @pytest.mark.component("there")
        def test_has_it(): pass
        """
    )
    return pytester.runpytest_inprocess("-rs", "-p", "no:randomly")


def test_a_missing_component_skips_with_the_reason(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = outcome(pytester, monkeypatch, required=False)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*absent is not installed*"])


def test_a_missing_component_fails_where_all_are_required(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome(pytester, monkeypatch, required=True).assert_outcomes(passed=1, errors=1)


def test_every_component_says_what_to_install() -> None:
    for name in components.COMPONENTS:
        reason = components.missing(name)
        assert not reason or "install" in reason or "set" in reason or "root" in reason
