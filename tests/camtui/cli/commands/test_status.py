"""``camtui status``, and ``camtui`` alone in a pipe."""

from __future__ import annotations

from pathlib import Path

from tests.camtui.cli.support import ask, home
from tests.evaluator.execution.support import camtui

__all__ = ["home"]


def test_without_a_command_in_a_pipe_it_is_the_status(home: Path) -> None:
    nothing = camtui()
    assert (nothing.returncode, nothing.stderr) == (4, "error: there is no run yet\nhint:  camtui run --demo\n")
    camtui(*ask(home), "-q")
    assert camtui().stdout == camtui("status").stdout
