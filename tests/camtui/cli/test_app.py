"""Common to all commands: what they import, their version, words that are none, readers
that leave early.
"""

from __future__ import annotations

import ast
import re
import shlex
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from camtui import cli
from camtui.cli.app import ALIASES, app
from camtui.planning import PlanOptions, resolve_plan
from evaluator.images import demo_root
from evaluator.plan import PROTOCOL, RunPlan
from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import camtui
from tests.synthetic import make_run

HEAVY = ("torch", "numpy", "textual", "sqlite_utils", "PIL")


def test_light_commands_import_nothing_heavy(home: Path) -> None:
    make_run(home / "runs" / "pictures.db", images=4)
    for words in ("--help", "ls", "status", "methods", "backbones", "run --help", "--version"):
        code = (
            f"import sys; sys.argv[1:] = {words.split()!r}\n"
            "from camtui.cli import main\n"
            "try:\n    main()\n"
            "except SystemExit as end:\n    assert not end.code, end.code\n"
            f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert (words, result.stderr.splitlines()[-1]) == (words, "[]"), result.stderr


@pytest.mark.parametrize(("word", "collects"), [("methods", True), ("--help", False)])
def test_garbage_is_collected_while_a_command_runs_and_not_while_it_is_found(
    word: str, collects: bool
) -> None:
    code = (
        f"import gc, io, sys; sys.argv[1:] = [{word!r}]\nstates = set()\nclass "
        "Out(io.StringIO):\n    def write(self, text):\n"
        "        states.add((gc.isenabled(), gc.get_freeze_count() > 10_000))\n        return "
        "super().write(text)\n"
        "sys.stdout = Out()\nfrom camtui.cli import main\ntry:\n    main()\nfinally:\n    "
        "print(states, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stderr.splitlines()[-1] == str({(collects, collects)}), result.stderr


def test_the_version(home: Path) -> None:
    found = dict(line.split(" ", 1) for line in camtui("--version").stdout.splitlines())
    assert list(found) == ["camtui", "python", "torch", "torchvision", "textual", "sqlite"]
    assert found["camtui"] == version("camtui")
    assert found["torch"] == version("torch")
    assert found["sqlite"] == sqlite3.sqlite_version
    assert "Usage: camtui [OPTIONS] COMMAND" in camtui("--help").stdout


def test_only_public_parts_of_typer_are_used() -> None:
    """Private parts of Typer may move in any version of it."""
    public = {
        "typer.core": {"TyperCommand", "TyperGroup"},
        "typer.main": {"get_command"},
    }
    files = sorted(Path(cli.__path__[0]).rglob("*.py"))
    assert len(files) > 30
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("typer"):
                assert {name.name for name in node.names} <= public[node.module or ""], file
            if isinstance(node, ast.Attribute) and not node.attr.startswith("__"):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                assert not node.attr.startswith("_") or owner == "self", f"{file}:{node.lineno}"


@pytest.mark.parametrize("words", ["methods", "worst good -n 400 --best", "table good"])
def test_a_reader_that_leaves_early_is_no_error(two_runs: Path, words: str) -> None:
    """``exec`` of the reader before the first line is written: a pipe nobody reads from."""
    command = (
        f"{sys.executable} -c 'from camtui.cli import main; main()' "
        f"{words} | true; exit ${{PIPESTATUS[0]}}"
    )
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


def test_other_words_for_commands(home: Path) -> None:
    assert camtui("version").stdout == camtui("--version").stdout
    for alias, name in ALIASES.items():
        first = typed(alias, "--help").stdout.splitlines()[0]
        assert re.match(rf"Usage: \S+ {name} ", first), first


GROUP = typer.main.get_group(app)
DATA = Path(__file__).parents[2] / "data"
EARLIER = (DATA / "earlier_commands.txt").read_text("utf-8").splitlines()
"""What README and docs of the version before told its users to type."""
EARLIER_OPTIONS = (DATA / "earlier_options.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("line", EARLIER)
def test_a_command_of_the_version_before_is_understood(line: str) -> None:
    _, name, *words = shlex.split(line)
    assert GROUP.commands[name].make_context(name, words).params


def test_every_option_of_the_version_before_is_there() -> None:
    known = {
        (name, option)
        for name, command in GROUP.commands.items()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    earlier = [line.split() for line in EARLIER_OPTIONS]
    assert len(earlier) > 150
    assert [(n, o) for _, n, *options in earlier for o in options if (n, o) not in known] == []


def test_old_and_new_spellings_make_one_plan(tmp_path: Path) -> None:
    asked = ["run", "--data", str(demo_root()), "-b", "synthetic_cnn", "-m", "gradcam,layercam"]
    old = "--curve-steps 16 --insertion-start blur --removed black --road-removal released"
    old += " --road-noise normalised --metric deletion,insertion,road"
    old += " --until decided --margin 1 --drop-decided"
    new = "--metric deletion:steps=16,removed=black,insertion:start=blur"
    new += " --metric road:removal=released,noise=normalised --until decided:margin=1,drop"
    made = [resolved([*asked, *words.split()]) for words in (old, new)]
    assert made[0] == made[1]
    model = [("--model" if word == "-b" else word) for word in asked]
    assert resolved(model) == resolved(asked)


def resolved(words: list[str]) -> RunPlan:
    name, *options = words
    given = GROUP.commands[name].make_context(name, options).params
    plain = {field: given[field] for field in ("data", "demo", "backbones", "methods", "metrics")}
    choices = {key: given[key] for key in PROTOCOL if given[key] not in (None, False)}
    typed_ = PlanOptions(**plain, config=given["config"], choices=choices)
    return resolve_plan(typed_, None, cuda=False).plan
