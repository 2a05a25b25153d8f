"""``camtui rm`` takes away what is a run's, and never a run that is under way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluator.store.audit import audit
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import ask, typed
from tests.synthetic import make_run


def test_a_second_run_and_the_removal_of_a_running_one_are_refused(slow: Path, home: Path) -> None:
    again = typed(*ask(home))
    assert again.exit_code == 3
    assert "already running, pid" in again.stderr
    removal = typed("rm", "pictures", "-y")
    assert removal.exit_code == 3
    assert removal.stderr.splitlines()[1] == "hint:  camtui stop pictures"
    typed("stop", "--now", "-y")


def test_it_removes_what_the_run_has_written_and_nothing_else(home: Path) -> None:
    runs = home / "runs"
    runs.mkdir(exist_ok=True)
    (runs / "pictures.log").write_text("ten years of measurements\n")
    assert typed(*ask(home), "-q").exit_code == 0
    assert (runs / "pictures.db.log").read_text().splitlines()[0].endswith("log of pictures.db")
    assert typed("rm", "pictures", "-y").exit_code == 0
    assert {file.name for file in runs.iterdir()} == {"pictures.log"}
    assert (runs / "pictures.log").read_text() == "ten years of measurements\n"


def test_a_log_that_the_run_does_not_own_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=4, methods=["gradcam"], backbones=["resnet18"])
    (tmp_path / "run.db.log").write_text("mine\n")
    removal = typed("rm", str(run), "-y")
    assert removal.exit_code == 0
    assert "left " in removal.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"run.db.log"}


def test_what_is_no_run_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "taxes.db").write_bytes(b"SQLite format 3\0" + bytes(500))
    removal = typed("rm", str(tmp_path / "taxes.db"), "-y")
    assert removal.exit_code == 4
    assert "is not a run of camtui" in removal.stderr
    assert (tmp_path / "taxes.db").exists()


@pytest.mark.parametrize("name", ["run.db.lock", "run.db.log"])
def test_links_beside_a_run_that_was_received_lead_nowhere(tmp_path: Path, name: str) -> None:
    run = make_run(
        tmp_path / "run.db", images=4, methods=["gradcam"], backbones=["resnet18"], state="stopped"
    )
    victim = tmp_path / "profile"
    victim.write_text("export PATH\n" * 500)
    (tmp_path / name).symlink_to(victim)
    for command, *options in (("doctor", "--repair"), ("resume", "-d"), ("logs",), ("rm", "-y")):
        done = typed(command, str(run), *options)
        assert "Traceback" not in done.stderr
        assert victim.read_text() == "export PATH\n" * 500, command
        if command == "resume" or (name == "run.db.lock" and command in ("rm", "doctor")):
            assert done.exit_code == 2
            assert "is a link, which is not followed" in done.stderr


@pytest.mark.long
def test_a_backbone_is_taken_out_and_the_run_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"unavailable": ["resnet50"]}))
    both = [*ask(home)[:3], "-b", "resnet18,resnet50", *ask(home)[5:]]
    first = typed(*both, "-q")
    assert first.exit_code == 1
    assert "no weights for resnet50" in typed("table", "pictures").stdout, (
        "said where its numbers would be"
    )
    for words in (("resume", "-q"), (*both[:3], "-b", "resnet18", "-m", "layercam", "-q")):
        again = typed(*words)
        assert again.exit_code == 1, "resnet50 is still asked for"
        with RunReader(home / "runs" / "pictures.db") as reader:
            counts = {summary.cell: summary.n for summary in reader.averages.summaries()}
            done = {(cell.backbone, cell.method): counts[cell.id] for cell in reader.cells()}
        assert all(n == 12 for (backbone, _), n in done.items() if backbone == "resnet18"), (
            "the others go on"
        )
    refused = typed("rm", "pictures", "--backbone", "resnet50")
    assert refused.exit_code == 2, "it asks, and there is nobody to answer"
    gone = typed("rm", "pictures", "-b", "resnet50", "-y")
    assert gone.exit_code == 0
    assert "removed resnet50 from pictures: 0 rows" in gone.stderr
    resumed = typed("resume", "-q")
    assert resumed.exit_code == 0, resumed.output
    assert typed("status", "--check").exit_code == 0
    monkeypatch.delenv("CAMTUI_FAKE")
    assert typed(*both, "-q").exit_code == 0, "and it can come back"
    with RunReader(home / "runs" / "pictures.db") as reader:
        assert {summary.n for summary in reader.averages.summaries()} == {12}
        assert audit(reader) == []
