"""Every command prints with --json what its published schema says, and no command that
knows --json is without one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

from camtui.cli.app import app
from tests.camtui.cli.support import typed
from tests.camtui.judging.runs import judged_run, ordered
from tests.evaluator.execution.support import make_data
from tests.synthetic import make_run

RUNS = {"run", "resume", "retry", "reproduce"}
"""They print a hand-off, a status and, with --dry-run, a plan: see below."""

PRINTED = {
    "status": "status val",
    "ls": "ls",
    "event": "logs val",
    "methods": "methods",
    "metrics": "metrics",
    "new": "new method mine --force",
    "backbones": "backbones",
    "doctor": "doctor",
    "doctor-run": "doctor val",
    "verify": "verify val",
    "errors": "errors val",
    "worst": "worst val",
    "show": "show val",
    "compare": "compare val var",
    "judge": "judge judged",
    "ranks": "ranks usual pixels",
    "compare-paper": "compare val --paper",
    "dry-run": "run --data data -b resnet18 -m gradcam --dry-run",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    for name in ("val", "var"):
        make_run(folder / "runs" / f"{name}.db", methods=("fakecam", "gradcam"), images=6)
    for name, masking in (("usual", "normalised"), ("pixels", "pixels")):
        make_run(
            folder / "runs" / f"{name}.db",
            methods=("gradcam", "gradcampp"),
            images=12,
            plan={"masking": masking},
        )
    judged_run(folder / "runs" / "judged.db", ordered(images=6)).close()
    make_data(folder / "data", 2)
    (folder / "runs" / "broken.db").write_text("no database")
    return folder


def check(name: str, document: Any) -> None:
    schema = json.loads(typed("schema", name).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("name", PRINTED)
def test_what_a_command_prints(name: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    monkeypatch.setenv("CAMTUI_HOME", str(runs))
    printed = typed(*PRINTED[name].split(), "--json").stdout.splitlines()
    assert printed
    for line in printed:
        check(name, json.loads(line))


def test_a_run_prints_a_hand_off_and_a_status(home: Path, tmp_path: Path) -> None:
    make_data(tmp_path / "data", 3)
    done = typed(
        "run", "--data", str(tmp_path / "data"), "-b", "resnet18", "-m", "gradcam", "--json"
    )
    handoff, status = map(json.loads, done.stdout.splitlines())
    check("handoff", handoff)
    check("status", status)
    check("status", json.loads(typed("wait", handoff["run"], "--json").stdout))
    check("error", json.loads(typed("status", "nothing", "--json").stdout))


def test_every_command_with_json_has_a_schema() -> None:
    """What ``check`` and ``backbones --check`` print is held against it where they are tested."""
    commands = typer.main.get_group(app).commands
    with_json = {
        name
        for name, command in commands.items()
        if any("--json" in one.opts for one in command.params)
    }
    printed = {words.split()[0] for words in PRINTED.values()} | {"bench", "check", "wait"}
    assert with_json - RUNS == printed - RUNS


def test_the_names_are_listed() -> None:
    listed = typed("schema")
    assert {"status", "cell", "images"} <= {line.split()[0] for line in listed.stdout.splitlines()}
