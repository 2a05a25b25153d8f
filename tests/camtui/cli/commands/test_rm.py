"""``camtui rm`` takes away what is a run's, and never a run that is under way."""

from __future__ import annotations

from pathlib import Path

from tests.camtui.cli.support import ask, closed, home, slow
from tests.evaluator.execution.support import camtui

__all__ = ["closed", "home", "slow"]


def test_a_second_run_and_the_removal_of_a_running_one_are_refused(slow: Path, home: Path) -> None:
    again = camtui(*ask(home))
    assert again.returncode == 3
    assert "already running, pid" in again.stderr
    removal = camtui("rm", "pictures", "-y")
    assert removal.returncode == 3
    assert removal.stderr.splitlines()[1] == "hint:  camtui stop pictures"
    camtui("stop", "--now", "-y")
