"""``camtui rm`` takes away what is a run's, and never a run that is under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.cli.support import ask, closed, home, slow
from tests.evaluator.execution.support import camtui
from tests.synthetic import make_run

__all__ = ["closed", "home", "slow"]


def test_a_second_run_and_the_removal_of_a_running_one_are_refused(slow: Path, home: Path) -> None:
    again = camtui(*ask(home))
    assert again.returncode == 3
    assert "already running, pid" in again.stderr
    removal = camtui("rm", "pictures", "-y")
    assert removal.returncode == 3
    assert removal.stderr.splitlines()[1] == "hint:  camtui stop pictures"
    camtui("stop", "--now", "-y")


def test_it_removes_what_the_run_has_written_and_nothing_else(home: Path) -> None:
    runs = home / "runs"
    runs.mkdir(exist_ok=True)
    (runs / "pictures.log").write_text("ten years of measurements\n")
    assert camtui(*ask(home), "-q").returncode == 0
    assert (runs / "pictures.db.log").read_text().splitlines()[0].endswith("log of pictures.db")
    assert camtui("rm", "pictures", "-y").returncode == 0
    assert {file.name for file in runs.iterdir()} == {"pictures.log"}
    assert (runs / "pictures.log").read_text() == "ten years of measurements\n"


def test_a_log_that_the_run_does_not_own_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=4, methods=["gradcam"], backbones=["resnet18"])
    (tmp_path / "run.db.log").write_text("mine\n")
    removal = camtui("rm", str(run), "-y")
    assert removal.returncode == 0
    assert "left " in removal.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"run.db.log"}


def test_what_is_no_run_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "taxes.db").write_bytes(b"SQLite format 3\0" + bytes(500))
    removal = camtui("rm", str(tmp_path / "taxes.db"), "-y")
    assert removal.returncode == 4
    assert "is not a run of camtui" in removal.stderr
    assert (tmp_path / "taxes.db").exists()


@pytest.mark.parametrize("name", ["run.db.lock", "run.db.log"])
def test_links_beside_a_run_that_was_received_lead_nowhere(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run.db", images=4, methods=["gradcam"], backbones=["resnet18"], state="stopped")
    victim = tmp_path / "profile"
    victim.write_text("export PATH\n" * 500)
    (tmp_path / name).symlink_to(victim)
    for verb, *options in (("doctor", "--repair"), ("resume", "-d"), ("logs",), ("rm", "-y")):
        done = camtui(verb, str(run), *options)
        assert "Traceback" not in done.stderr
        assert victim.read_text() == "export PATH\n" * 500, verb
        if verb == "resume" or (name == "run.db.lock" and verb in ("rm", "doctor")):
            assert done.returncode == 2
            assert "is a link, which is not followed" in done.stderr
