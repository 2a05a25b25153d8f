"""The import contracts: modules that a light module brings along in a fresh interpreter, and the
contracts of ``.importlinter``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import pytest

import evaluator

ROOT = Path(evaluator.__file__).parents[1]
HEAVY = ("torch", "torchvision", "numpy", "textual", "PIL", "sqlite_utils")
LIGHT = """evaluator.backbones evaluator.catalog evaluator.plan evaluator.images evaluator.crop
evaluator.truth.folder evaluator.statistics evaluator.store.reader evaluator.execution.request
evaluator.store.files evaluator.interfaces camtui.runs camtui.status camtui.launch camtui.cli.app
camtui.cli.commands.run camtui.cli.commands.status camtui.cli.commands.synth
camtui.cli.commands.table"""
DIRECTING = "evaluator.execution.driver evaluator.execution.worker evaluator.store.writer"


def brought_by(*modules: str) -> set[str]:
    """Top-level packages in ``sys.modules`` after importing these modules and nothing else."""
    for module in modules:
        assert find_spec(module), f"{module} has moved: name its successor here"
    names = "{name.partition('.')[0] for name in sys.modules}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {', '.join(modules)}; print(*{names})"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.split())


def test_light_modules_import_nothing_heavy() -> None:
    """Not even all of them together."""
    assert brought_by(*LIGHT.split()).isdisjoint(HEAVY)


def test_who_directs_the_work_does_not_hold_torch() -> None:
    """The driver outlives workers that a device has killed; a worker imports torch only with its
    session.
    """
    assert brought_by(*DIRECTING.split()).isdisjoint({"torch", "torchvision", "textual"})


def test_who_draws_pictures_does_not_hold_torch() -> None:
    assert brought_by("evaluator.synthetic.scene").isdisjoint({"torch", "torchvision"})


def test_the_package_itself_imports_nothing() -> None:
    assert "evaluator" in brought_by("evaluator")
    assert brought_by("evaluator") - brought_by("sys") == {"evaluator"}


def test_every_module_of_the_evaluator_is_in_the_light_or_the_heavy_half() -> None:
    """A module that the contract does not name would be held to nothing."""
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter")
    light, heavy = (
        {
            name
            for name in contracts["importlinter:contract:light-half"][key].split()
            if name.startswith("evaluator.")
        }
        for key in ("source_modules", "forbidden_modules")
    )
    files = [
        path
        for path in (ROOT / "evaluator").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    ]
    assert {f"evaluator.{path.stem}" for path in files} - {"evaluator.__init__"} == light | heavy
    assert not light & heavy


def test_the_contracts_are_kept() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which(
        "lint-imports"
    )
    assert command, 'import-linter is not installed: pip install -e ".[test]"'
    done = subprocess.run(
        [command, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ["camtui", "evaluator"])
def test_the_documentation_draws_the_layers_of_the_contracts(package: str) -> None:
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter")
    held = contracts[f"importlinter:contract:{package}-layers"]["layers"].split("\n")[1:]
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    halves = dict(
        zip(
            ("camtui", "evaluator"),
            page.partition("<!-- layers -->")[2].split("```")[1].split("───\n"),
            strict=True,
        )
    )
    drawn = [
        line.removeprefix(package).strip()
        for line in halves[package].strip().split("\n")
        if "───" not in line
    ]
    assert [re.split(r"\s{3,}", line)[0] for line in drawn] == held
