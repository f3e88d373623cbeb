"""Every regular expression of the package, found in its source, is attacked in the ways in which it is used: with text
of every shape, and with shapes made from the pattern itself. A new one is attacked as soon as it is written."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mailgate
from mailgate.policy.globs import glob_pattern
from tests.support.hostile import is_slow, shapes, shapes_for

_PACKAGE = Path(mailgate.__file__).parent
_USES = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
_OWN_NAME = {"mailgate.tenancy.databases.migrations.env"}  # can be imported by Alembic alone

# Made at run time: the value says by what.
_MADE = {
    ("mailgate.policy.globs", "glob_pattern"): [glob_pattern(("*.exe", "*a*b*c*d", "?*[a-z]*.*"))],
    ("mailgate.senderauth.spf_macro", "_transformed"): [re.compile("[" + re.escape(".-+,/_=") + "]")],
}


# Handed to a method of their module that uses them like this.
_HANDED = {"mailgate.policy.toml_lines": {"match"}, "mailgate.policy.globs": {"match"}}


@dataclass
class Found:
    """A pattern, where it stands, and by which methods it is used."""

    where: str
    pattern: re.Pattern[Any]
    uses: set[str] = field(default_factory=set)


def _modules() -> Iterator[tuple[ModuleType, ast.Module]]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = ".".join(("mailgate", *path.relative_to(_PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        if name.endswith("__main__") or name in _OWN_NAME:
            assert "re." not in re.sub(r"\w+\.", "", path.read_text()) or "import re" not in path.read_text()
            continue
        yield importlib.import_module(name), ast.parse(path.read_text())


def _found() -> list[Found]:
    by_pattern: dict[tuple[Any, int], Found] = {}
    uses: dict[tuple[Any, int], set[str]] = defaultdict(set)
    handed_on: set[tuple[Any, int]] = set()
    for module, tree in _modules():
        function_of = _functions(tree)
        for node in ast.walk(tree):
            if _is_re_call(node):
                for pattern in _made(module, node, function_of.get(node, "")):
                    key = (pattern.pattern, pattern.flags)
                    by_pattern.setdefault(key, Found(f"{module.__name__}:{node.lineno}", pattern))
                    if node.func.attr != "compile":
                        uses[key].add(node.func.attr)
            for key, method in _used(module, node):
                uses[key].add(method) if method else handed_on.add(key)
    for key, found in by_pattern.items():
        is_unknown = key in handed_on or not uses[key]
        everything = _HANDED.get(found.where.partition(":")[0], {*_USES[:3], "finditer"})
        found.uses = everything if is_unknown else uses[key]
    return list(by_pattern.values())


def _functions(tree: ast.Module) -> dict[ast.AST, str]:
    return {
        node: function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }


def _is_re_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in ("compile", *_USES)
    )


def _made(module: ModuleType, node: Any, function: str) -> list[re.Pattern[Any]]:
    """What the call compiles; from the table above where that is known at run time only."""
    if (module.__name__, function) in _MADE:
        return _MADE[module.__name__, function]
    flags = [word.value for word in node.keywords if word.arg == "flags"]
    if node.func.attr in ("compile", "match", "fullmatch", "search", "findall", "finditer"):
        flags += node.args[(1 if node.func.attr == "compile" else 2) :]
    source = _evaluated(module, node.args[0])
    return [re.compile(source, *(_evaluated(module, flag) for flag in flags))]


def _evaluated(module: ModuleType, node: ast.expr) -> Any:
    try:
        return eval(compile(ast.Expression(node), module.__name__, "eval"), dict(vars(module)))
    except NameError as error:
        raise AssertionError(f"{module.__name__}:{node.lineno}: made at run time ({error}); add it to _MADE") from None


def _used(module: ModuleType, node: ast.AST) -> Iterator[tuple[tuple[Any, int], str]]:
    """`_NAME.method` as the use of what is called so in the module; every other mention as handed on ("")."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        held = vars(module).get(node.value.id)
        if isinstance(held, re.Pattern) and node.attr in _USES:
            node.value.is_used = True  # type: ignore[attr-defined]
            yield (held.pattern, held.flags), node.attr
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not hasattr(node, "is_used"):
        held = vars(module).get(node.id)
        if isinstance(held, re.Pattern):
            yield (held.pattern, held.flags), ""


_PATTERNS = _found()


def test_the_patterns_of_the_package_are_found() -> None:
    assert len(_PATTERNS) > 150
    assert {found.where.partition(":")[0] for found in _PATTERNS} >= {
        "mailgate.senderauth.spf_record",
        "mailgate.inspect.embedded",
        "mailgate.relay.pipeline",
    }


def test_a_quadratic_pattern_is_noticed() -> None:
    bad = Found("here", re.compile(r"[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*"), {"fullmatch"})
    worse = Found("here", re.compile(rb"(?:a|a)+b"), {"match"})
    searching = Found("here", re.compile(rb"[ \t]+$"), {"search"})
    assert all(any(_attacked(found)) for found in (bad, worse, searching))


@pytest.mark.parametrize("found", _PATTERNS, ids=lambda found: found.where)
def test_a_pattern_is_linear(found: Found) -> None:
    assert not list(_attacked(found))


def _attacked(found: Found) -> Iterator[str]:
    is_bytes = isinstance(found.pattern.pattern, bytes)
    for name, shape in (*shapes_for(found.pattern), *shapes()):
        for use in sorted(found.uses):
            if slow := is_slow(
                lambda size, shape=shape, use=use: _run(found.pattern, use, _fit(shape(size), is_bytes))
            ):
                yield f"{found.pattern.pattern!r}.{use}({name}): {slow}"


def _fit(text: Any, is_bytes: bool) -> Any:
    return text.encode() if is_bytes and isinstance(text, str) else text


def _run(pattern: re.Pattern[Any], use: str, text: Any) -> Callable[[], object]:
    if use in ("sub", "subn"):
        return lambda: getattr(pattern, use)(text[:0], text)
    if use == "finditer":
        return lambda: sum(1 for _ in pattern.finditer(text))
    return lambda: getattr(pattern, use)(text)
