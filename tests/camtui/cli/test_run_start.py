"""A run in the foreground, in this very process: what it prints, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluator.interfaces import Session, SessionSettings
from evaluator.store.writer import RunWriter
from tests.camtui.cli.support import ask, typed
from tests.evaluator.store.runs import begun, raw


def test_in_the_foreground_the_table_comes_at_the_end(home: Path) -> None:
    done = typed(*ask(home), "-F")
    assert done.exit_code == 0, done.stderr
    assert "gradcam" in done.stdout
    assert "12 images · complete" in done.stdout


def test_in_the_foreground_json_says_where_the_run_is(home: Path) -> None:
    done = typed(*ask(home), "-F", "--json", "-q")
    assert done.exit_code == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["pid"] > 0


def test_a_foreground_run_that_cannot_begin_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_DRIVER", json.dumps({"session": "tests.nowhere:open_session"}))
    failed = typed(*ask(home), "-F")
    assert failed.exit_code == 1
    assert "worker 1 cannot start" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("hint:")


def other_torchvision(settings: SessionSettings) -> Session:
    raise RuntimeError("operator torchvision::nms does not exist")


@pytest.mark.parametrize(
    ("session", "error", "hint"),
    [
        (
            "tests.nowhere:open_session",
            "ModuleNotFoundError: No module named 'tests.nowhere'",
            "see",
        ),
        (
            f"{__name__}:other_torchvision",
            "RuntimeError: operator torchvision::nms does not exist",
            "pip install --upgrade torch torchvision",
        ),
    ],
)
def test_why_no_worker_can_start_is_said_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, session: str, error: str, hint: str
) -> None:
    monkeypatch.setenv("CAMTUI_DRIVER", json.dumps({"session": session}))
    failed = typed(*ask(home))
    assert failed.exit_code == 1
    said, advice = failed.stderr.splitlines()[-2:]
    assert said == f"error: worker 1 cannot start: {error}"
    assert advice.startswith(f"hint:  {hint}")


def test_a_followed_run_says_how_it_goes_unless_it_is_told_to_be_quiet(home: Path) -> None:
    loud, quiet = typed(*ask(home)), typed(*ask(home), "--name", "second", "-q")
    assert loud.exit_code == quiet.exit_code == 0
    assert "pictures: complete" in loud.stderr
    assert quiet.stderr == ""
    assert loud.stdout.splitlines()[1:] == quiet.stdout.splitlines()[1:]


def test_a_detached_run_says_how_to_come_back(home: Path) -> None:
    detached = typed(*ask(home), "-d")
    assert detached.exit_code == 0
    assert "camtui watch pictures, camtui stop pictures" in detached.stderr
    assert typed("wait", "pictures").exit_code == 0
    resumed = typed("resume", "pictures", "-d", "--json")
    assert json.loads(resumed.stdout)["watch"] == "camtui watch pictures"
    assert typed("wait", "pictures", "--timeout", "300s").exit_code == 0


def test_a_run_whose_plan_is_damaged_is_refused_and_left_alone(home: Path) -> None:
    (home / "runs").mkdir()
    path = home / "runs" / "pictures.db"
    with begun(path):
        pass
    raw(path, "UPDATE run SET plan = substr(plan, 1, length(plan) - 3)")
    before = path.read_bytes()
    for command in (ask(home), ["resume", "pictures"]):
        failed = typed(*command, "-F")
        assert failed.exit_code == 4
        assert "pictures.db holds no plan: " in failed.stderr
        assert failed.stderr.splitlines()[-1].startswith("hint:")
        assert path.read_bytes() == before


def test_a_file_without_a_run_cannot_be_gone_on_with(home: Path) -> None:
    (home / "runs").mkdir()
    RunWriter(home / "runs" / "empty.db").close()
    failed = typed("resume", "empty", "-F")
    assert failed.exit_code == 4
    assert "holds no run yet" in failed.stderr
