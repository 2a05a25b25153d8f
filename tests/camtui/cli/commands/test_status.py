"""``camtui status``, ``camtui wait``, and ``camtui`` alone in a pipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from camtui.cli.commands.status import _status_lines
from camtui.cli.progress_lines import status_line
from camtui.status import status_in
from tests.camtui.cli.support import typed
from tests.synthetic import make_run


def test_without_a_command_in_a_pipe_it_is_the_status(home: Path) -> None:
    nothing = typed()
    assert (nothing.exit_code, nothing.stderr) == (
        4,
        "error: there is no run yet\nhint:  camtui run --demo\n",
    )
    make_run(home / "runs" / "pictures.db", images=4)
    assert typed().stdout == typed("status").stdout


def test_restarts_of_workers_are_told_with_where_to_read_more(two_runs: Path) -> None:
    found = status_in(two_runs / "runs" / "good.db")
    assert not any(line.startswith("restarts") for line in _status_lines(found))
    (line,) = [
        line for line in _status_lines(replace(found, restarts=3)) if line.startswith("restarts")
    ]
    assert line == "restarts  3 of workers: camtui logs good"


def test_one_line_leaves_out_what_is_not_known(two_runs: Path) -> None:
    live = replace(
        status_in(two_runs / "runs" / "good.db"), state="running", stage="rows", failures=0
    )
    assert "left" not in status_line(replace(live, images_per_second=None, eta_seconds=None))
    assert "38%, 1m00 left" in status_line(
        replace(live, images_per_second=2.0, eta_seconds=60.0, progress=0.38)
    )


def test_work_that_is_left_is_never_called_done(two_runs: Path) -> None:
    """A stage without forwards leaves the share of forwards at 1 and its price at 0."""
    live = replace(
        status_in(two_runs / "runs" / "good.db"),
        state="running",
        stage="ARCC",
        done=0,
        total=8,
        progress=1.0,
        eta_seconds=0.2,
        images_per_second=None,
    )
    assert " · 0/8 images · 99%" in status_line(live)
    assert "left" not in status_line(live)
    (line,) = [line for line in _status_lines(live) if line.startswith("progress")]
    assert line.startswith("progress  99.9% after ")
    assert "left" not in line


def test_a_live_run_between_stages_says_what_it_does_and_what_to_type(two_runs: Path) -> None:
    status = status_in(two_runs / "runs" / "good.db")
    live = replace(status, state="running", stage="", failures=0, advice="camtui watch good")
    assert status_line(replace(live, progress=0.5)) == (
        "good: running · loading a network · camtui watch good"
    )
    assert status_line(replace(live, progress=1.0)) == (
        "good: running · everything is measured, the run is being closed · camtui watch good"
    )


def test_what_is_no_duration(two_runs: Path) -> None:
    assert two_runs.exists()
    for text in ("x", "5 weeks", "-1s", "nan"):
        refused = typed("wait", "good", f"--timeout={text}")
        assert refused.exit_code == 2
        assert f"'{text}' is no duration" in refused.stderr
