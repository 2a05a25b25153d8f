"""Tests stand by package and concept: every package has its folder, and no module goes untested.

Within a package a function may move from one file to another, and nothing but imports changes.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("camtui", "evaluator")

AXES = ("methods", "metrics", "families", "sources")
"""Folders whose files are found by listing them: each has a test of its name."""


def dotted(file: Path) -> str:
    """``camtui/format/__init__.py`` → ``camtui.format``."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages, and of the tests."""
    return {
        dotted(file): file
        for folder in (*PACKAGES, "tests")
        for file in sorted((ROOT / folder).rglob("*.py"))
    }


def has_logic(file: Path) -> bool:
    """Whether a function does anything: fields, constants and protocols have nothing to test."""
    return any(
        not isinstance(last, ast.Raise)
        and not (isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for last in node.body[-1:]
    )


@cache
def named(file: Path) -> frozenset[str]:
    """Modules that a file imports, anywhere in it, or names in a string, as for ``python -m``;
    tests of the command line run commands by word.
    """
    found: set[str] = set()
    tree = ast.parse(file.read_text())
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in docstrings
        ):
            found |= set(re.findall(r"\b(?:camtui|evaluator)(?:\.\w+)+", node.value))
            if "cli" in file.parts and file.name.startswith("test_"):
                found |= {f"camtui.cli.commands.{word}" for word in node.value.split()}
    return frozenset(found)


@cache
def reached(folder: Path) -> frozenset[str]:
    """Modules that the tests of a folder name, and those that they import in turn."""
    seen: set[str] = set()
    waiting = [dotted(file) for file in folder.rglob("*.py")]
    while waiting:
        module = waiting.pop()
        if module in modules() and module not in seen:
            seen.add(module)
            waiting += named(modules()[module])
    return frozenset(seen)


def on_an_axis(file: Path) -> bool:
    """Whether a file is found by the listing of its folder, and imported by its name nowhere."""
    return file.parent.name in AXES and file.name not in ("__init__.py", "base.py")


def sources() -> dict[str, Path]:
    """The modules of both packages that do anything."""
    return {
        module: file
        for module, file in modules().items()
        if module.split(".")[0] in PACKAGES and has_logic(file)
    }


def test_every_package_has_its_folder_of_tests_and_no_folder_is_of_none() -> None:
    packages = {file.parent.relative_to(ROOT) for file in sources().values()}
    tests = {
        file.parent.relative_to(ROOT / "tests") for file in (ROOT / "tests").rglob("test_*.py")
    }
    assert packages - tests == set()
    assert tests - packages == {Path()}


def test_every_method_metric_and_family_has_a_test_of_its_name() -> None:
    lacking = [
        module
        for module, file in sources().items()
        if on_an_axis(file)
        and module not in reached(ROOT / "tests")
        and not (
            ROOT / "tests" / file.relative_to(ROOT).with_name(f"test_{file.stem}.py")
        ).is_file()
    ]
    assert lacking == []


def test_every_other_module_is_reached_by_a_test() -> None:
    lost = [
        module
        for module, file in sources().items()
        if not on_an_axis(file) and module not in reached(ROOT / "tests")
    ]
    assert lost == []


def test_what_tests_do_not_reach_is_seen() -> None:
    assert "evaluator.execution.loop" not in reached(ROOT / "tests/camtui/format")
    assert "camtui.cli.commands.stop" not in reached(ROOT / "tests/evaluator/truth")
