"""Time by what earlier runs took on this machine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from camtui.cli.dry_run import StageTiming, expected_seconds, timings
from evaluator.execution.schedule import Remaining
from evaluator.execution.stages import StagePlan
from evaluator.store.reader import RunReader
from tests.synthetic import make_run


def work(
    methods: tuple[str, ...], images: int, forwards: float, backbone: str = "resnet50"
) -> Remaining:
    stage = StagePlan(1, "", 0, backbone, tuple(range(len(methods))), methods, (), 4, None, 4.0)
    return Remaining(stage, images, forwards, dict.fromkeys(methods, images))


KNOWN = [
    StageTiming(
        "resnet50", frozenset({"gradcam", "layercam"}), (), seconds=20.0, images=10, forwards=40.0
    ),
    StageTiming("resnet50", frozenset({"scorecam"}), (), seconds=100.0, images=1, forwards=2000.0),
]


def test_a_stage_that_was_timed_takes_what_it_took() -> None:
    assert expected_seconds([work(("layercam", "gradcam"), 100, 400.0)], KNOWN) == pytest.approx(
        200.0
    )
    assert expected_seconds([work(("layercam", "gradcam"), 100, 100.0)], KNOWN) == pytest.approx(
        50.0
    ), "most is there already"


def test_another_stage_goes_by_its_forwards() -> None:
    assert expected_seconds([work(("iscam",), 3, 6120.0)], KNOWN) == pytest.approx(
        6120 * 120 / 2040
    )


def test_nothing_left_takes_no_time_and_what_was_never_timed_is_not_known() -> None:
    assert expected_seconds([], []) == 0
    assert expected_seconds([work(("gradcam",), 0, 0.0, "vgg16")], KNOWN) == 0
    assert expected_seconds([work(("gradcam",), 3, 9.0, "vgg16")], KNOWN) is None


def test_only_runs_like_this_one_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    path = tmp_path / "runs" / "good.db"
    make_run(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE stages SET seconds = 3, timed_images = 6")
        connection.commit()
    with RunReader(path) as reader:
        plan, host = reader.plan(), reader.info().host
    monkeypatch.setattr("camtui.cli.dry_run.gethostname", lambda: host)
    found = timings(plan, path, cuda=False)
    assert found
    assert {(timed.seconds, timed.images) for timed in found} == {(3.0, 6)}
    assert timings(plan, tmp_path / "runs" / "new.db", cuda=False) == found, (
        "an earlier run of this machine"
    )
    assert timings(plan, path, cuda=True) == []
    assert timings(replace(plan, precision="bf16"), path, cuda=False) == []
    monkeypatch.setattr("camtui.cli.dry_run.gethostname", lambda: "another")
    assert timings(plan, path, cuda=False) == []
