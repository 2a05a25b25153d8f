"""Lines about a run, however narrow or wide the terminal; plots drawn with characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from camtui.feed import Feed, Snapshot
from camtui.format import Field
from camtui.tui.text import (
    BraillePlot,
    Part,
    bar,
    clock,
    columns,
    convergence_lines,
    event_lines,
    histogram,
    most_important,
    side_lines,
    state_lines,
    summary_lines,
    title_line,
    trend,
    worker_line,
)
from evaluator.records import Look, WorkerState
from evaluator.statistics import Mean
from tests.synthetic import make_run


def test_a_line_gives_up_its_least_important_parts_first() -> None:
    parts = [Part(0, Field("12.5%")), Part(2, Field(" 62 img/s")), Part(1, Field(" ETA 4h42"))]
    assert "".join(field.text for field in most_important(parts, 30)) == "12.5% 62 img/s ETA 4h42"
    assert "".join(field.text for field in most_important(parts, 15)) == "12.5% ETA 4h42"
    assert "".join(field.text for field in most_important(parts, 1)) == "12.5%"


def text(lines: Sequence[Sequence[Field]]) -> str:
    return "\n".join("".join(field.text for field in line) for line in lines)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A complete run of two methods, one of which has failures."""
    feed = Feed(
        make_run(
            tmp_path_factory.mktemp("facts") / "val.db",
            images=8,
            backbones=["resnet18"],
            methods=["gradcam", "fakecam"],
        )
    )
    snapshot = feed.poll()
    feed.close()
    assert snapshot is not None
    return snapshot


@pytest.fixture
def live(ended: Snapshot) -> Snapshot:
    """The same run while it goes on."""
    status = replace(
        ended.status,
        state="running",
        images_per_second=62.5,
        eta_seconds=3 * 3600.0,
        stage="resnet18 · Grad-CAM",
        stage_number=1,
        stages=2,
        done=3,
        total=8,
        progress=0.375,
    )
    worker = WorkerState(
        1, "cuda:0", 4711, "computing", ended.taken, 2, 97.0, 33 << 30, 141 << 30, 612.0, 71.0
    )
    stages = tuple(replace(stage, done=min(stage.done, 3)) for stage in ended.stages)
    return replace(
        ended,
        status=status,
        workers=(worker,),
        stages=stages,
        utilisation=(10.0, 97.0),
        rates=(1.0, 4.0),
        info=replace(ended.info, heartbeat=ended.taken, finished=None),
    )


def test_the_title_says_more_where_there_is_room(live: Snapshot) -> None:
    wide, usual, narrow = (text([title_line(live, width)]) for width in (140, 80, 40))
    for word in (
        "val",
        "RUNNING",
        "37.5%",
        "stage 1 of 2: 3 of 8 images",
        "62.5 images/s",
        "ETA 3h00",
    ):
        assert word in wide
    assert f"({clock(live.taken + 3 * 3600)})" in wide
    assert "(" not in usual
    assert "ETA 3h00" in usual
    assert "█" not in narrow, "no room for a bar"
    assert "37.5%" in narrow
    assert "ETA …" in text(
        [title_line(replace(live, status=replace(live.status, eta_seconds=None)), 80)]
    )
    assert "FROZEN" in text([title_line(live, 80, frozen=True)])


def test_the_title_says_about_how_many_images_a_rule_still_takes(live: Snapshot) -> None:
    look = Look("decided, margin 0.5", 3, 7, None, {}, ())
    forecast = replace(live, status=replace(live.status, until=look))
    assert "~4 more" in text([title_line(forecast, 140)])
    assert "more" not in text([title_line(live, 140)])


def test_a_run_that_stops_has_no_time_left_but_what_is_being_computed(live: Snapshot) -> None:
    stopping = text([title_line(replace(live, status=replace(live.status, state="stopping")), 140)])
    assert "ETA" not in stopping
    assert "finishing what is being computed" in stopping


def test_the_title_of_an_ended_run_says_when(ended: Snapshot) -> None:
    assert ended.info.finished is not None
    assert f"ended {clock(ended.info.finished)}" in text([title_line(ended, 80)])
    assert "ended" not in text(
        [title_line(replace(ended, info=replace(ended.info, finished=None)), 80)]
    )


def test_the_second_line_is_about_workers_or_about_what_is_wrong(
    live: Snapshot, ended: Snapshot
) -> None:
    line = text([worker_line(live, live.taken + 12, 160)])
    for word in ("cuda:0 util 97% mem 33/141G restarts 2", "612W 71°C", "last write 12", "file"):
        assert word in line
    silent = replace(
        live,
        info=replace(live.info, heartbeat=None),
        workers=(replace(live.workers[0], memory_total=None),),
    )
    assert "last write" not in text([worker_line(silent, live.taken, 160)])
    assert "mem 33G" in text([worker_line(silent, live.taken, 160)])
    assert "busy ▁" in line
    assert text(state_lines(ended, ended.taken, 80)).startswith(" camtui table ")
    crashed = replace(
        ended,
        status=replace(
            ended.status, state="crashed", message="it was killed", advice="camtui resume val"
        ),
    )
    assert (
        text(state_lines(crashed, ended.taken, 80))
        == " camtui resume val   1 image failed (2 maps)   it was killed"
    )
    reason = "workers die before they compute anything (exit code 1): " + "CUDA cannot start " * 5
    failed = replace(
        ended,
        status=replace(ended.status, state="failed", message=reason, advice="camtui resume val"),
    )
    lines = text(state_lines(failed, ended.taken, 140)).split("\n")
    assert lines[0] == " camtui resume val   1 image failed (2 maps)"
    assert " ".join(" ".join(lines[1:]).split()) == reason.strip(), "the whole reason"
    assert len(state_lines(failed, ended.taken, 40)) == 3, "and not more than its room"
    assert "the last that was read" in text(
        [worker_line(replace(live, problem="the file is gone"), live.taken, 80)]
    )


def test_a_terminal_too_small_for_anything_else_has_a_summary(
    live: Snapshot, ended: Snapshot
) -> None:
    summary = text(summary_lines(live))
    for word in (
        "RUNNING",
        "37.5% of 8 images",
        "ETA 3h00",
        "best ADCC",
        "resnet18 × gradcam",
        "q detach",
    ):
        assert word in summary
    assert "ETA" not in text(summary_lines(ended))
    assert "q quit" in text(summary_lines(ended))
    assert "best" not in text(summary_lines(replace(ended, views={})))


def test_a_wide_terminal_has_workers_trends_and_stages_at_its_side(
    live: Snapshot, ended: Snapshot
) -> None:
    side = text(side_lines(live, 40))
    for word in ("cuda:0", "computing", "util ", "rows ", "now ", "Work", "38%"):
        assert word in side
    assert "  none now" in text(side_lines(ended, 40))
    assert "100%" in text(side_lines(ended, 40))
    failed = replace(live, status=replace(live.status, state="failed"))
    assert "none now" in text(side_lines(failed, 40)), (
        "its workers are gone, whatever they were doing"
    )
    quiet = replace(live, utilisation=(), rates=(), stages=())
    assert "util  " not in text(side_lines(replace(quiet, workers=()), 40))
    assert "now   " not in text(side_lines(quiet, 40))


def test_events_are_lines_with_their_level(ended: Snapshot) -> None:
    lines = event_lines(ended, 1)
    assert len(lines) == 1
    assert text(lines).split()[1] == ended.events[-1].level.upper()


def test_histogram_keeps_empty_bins_empty_and_single_images_visible() -> None:
    assert histogram([0, 1, 1000, 500]) == " ▁█▄" or histogram([0, 1, 1000, 500])[0:2] == " ▁"
    assert histogram([]) == ""
    lines = columns([0, 1, 100], 3)
    assert len(lines) == 3
    assert lines[-1][1] == "▁"
    assert [line[2] for line in lines] == ["█", "█", "█"]


def test_a_flat_curve_is_a_flat_line_and_gaps_stay_gaps() -> None:
    plot = BraillePlot(4, 2, 0.0, 1.0)
    plot.line([1.0] * 8)
    assert plot.lines() == ["⠉⠉⠉⠉", "    "]
    plot = BraillePlot(2, 1, 0.0, 1.0)
    plot.line([None, None, 0.0, 0.0])
    assert plot.lines() == [" ⣀"]
    plot.line([])


@pytest.mark.parametrize(
    ("metric", "value", "half", "ends"),
    [
        ("adcc", 0.99, 0.05, ("94.0", "100.0")),
        ("average_drop", 0.01, 0.04, ("0.0", "5.0")),
        ("adcc", 0.5, 0.02, ("48.0", "52.0")),
    ],
)
def test_an_axis_over_n_ends_where_the_metric_does(
    metric: str, value: float, half: float, ends: tuple[str, str]
) -> None:
    curve = [Mean(10_000 + n, value, half / 1.96) for n in range(30)]
    lines = text(convergence_lines(curve, metric, 60, 8)).splitlines()
    assert (lines[-2].split()[0], lines[0].split()[0]) == ends


@pytest.mark.parametrize(
    ("share", "filled"), [(0, 0), (0.5, 5), (0.55, 6), (1, 10), (7, 10), (-1, 0)]
)
def test_progress_bar_is_always_as_wide(share: float, filled: int) -> None:
    done, rest = bar(share, 10)
    assert len(done) == filled
    assert len(done + rest) == 10


def test_trend_spans_the_range() -> None:
    assert trend([0, 50, 100], 0, 100)[0] == "▁"
    assert trend([0, 50, 100], 0, 100)[-1] == "█"


def test_dots_leave_out_what_is_not_known() -> None:
    plot = BraillePlot(2, 1, 0.0, 1.0)
    plot.dots([])
    assert plot.lines() == ["  "]
