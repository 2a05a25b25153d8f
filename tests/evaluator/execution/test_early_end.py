"""Whole runs that end by their rule: real drivers and workers, killed, extended, with the fake
evaluator.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.errors import StoreError
from evaluator.execution.looks import Looks
from evaluator.plan import RunPlan
from evaluator.records import Look
from evaluator.store.audit import audit, repair
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import Run, each_row, kill, read_units
from tests.evaluator.store.runs import raw

Knobs = Callable[..., None]
STOPS = 100
"""Images after which the fake evaluator's three methods are known to ± 6 points."""


def look(run: Run) -> Look:
    with RunReader(run.db) as reader:
        found = reader.look()
    assert found is not None
    return found


def prefix(run: Run, images: int) -> list[tuple[str, str, int, float]]:
    return [row for row in each_row(run) if row[2] < images]


def counts(run: Run) -> dict[str, int]:
    with RunReader(run.db) as reader:
        return {
            cell.method: summary.n
            for cell, summary in zip(reader.cells(), reader.averages.summaries(), strict=True)
        }


def finish(run: Run, **changes: Any) -> None:
    assert run.end(**changes).state == "complete", run.log()


def forecast(run: Run, **changes: Any) -> Looks:
    """The decision of the rule with these changes, by the rows that are there."""
    with RunReader(run.db) as reader:
        return Looks(replace(reader.plan(), **changes), reader, images=reader.info().image_count)


def test_a_run_ends_when_every_cell_is_known_well_enough(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    run = new_run(400, until="ci<=6", metrics=("deletion",))
    knobs(log=str(tmp_path / "units"))
    finish(run)
    status = run.status()
    assert status.message == f"--until ci<=6: met by the first {STOPS} of 400 images"
    assert status.progress == 1.0
    assert look(run).decided == STOPS
    assert all(STOPS <= n < 200 for n in counts(run).values())
    assert len(prefix(run, STOPS)) == 3 * STOPS
    units = read_units(tmp_path / "units")
    measured = {image for unit in units if unit["metrics"] for image in unit["images"]}
    assert measured == set(range(STOPS)), (
        "curves are drawn of the images that count, and of these only"
    )
    with RunReader(run.db) as reader:
        assert audit(reader) == []


@pytest.mark.long
def test_a_rule_does_not_look_at_a_row_that_was_changed(new_run: NewRun) -> None:
    run = new_run(400, until="ci<=6")
    finish(run)
    (cell,) = raw(run.db, "SELECT min(cell_id) FROM results")[0]
    raw(run.db, "UPDATE results SET coherency = 0.1 WHERE cell_id = ? AND image_id = 3", (cell,))
    before = raw(run.db, "SELECT state, plan, message FROM run")
    run.plan = replace(run.plan, until="ci<=5")
    with pytest.raises(StoreError, match=r"the row of image 3 in .* is not what was written"):
        run.launch()
    assert raw(run.db, "SELECT state, plan, message FROM run") == before
    assert repair(run.db) == 1
    finish(run)


def test_the_expensive_method_is_looked_at_long_before_the_cheap_ones_are_through(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    run = new_run(2000, until="ci<=6")
    knobs(log=str(tmp_path / "units"))
    finish(run)
    furthest = max(max(unit["images"]) for unit in read_units(tmp_path / "units"))
    assert furthest < 3 * 64, "a round ahead at most"
    assert look(run).decided == STOPS


def test_a_rule_that_is_not_met_ends_with_the_last_image(new_run: NewRun) -> None:
    run = new_run(60, until="ci<=1")
    finish(run)
    assert run.status().message == "--until ci<=1: not met after all 60 images"
    assert counts(run) == dict.fromkeys(("gradcam", "gradcampp", "scorecam"), 60)


def test_images_that_fail_hold_nothing_up(new_run: NewRun) -> None:
    run = new_run(400, bad=40, until="ci<=6")
    finish(run)
    assert STOPS < (look(run).decided or 0) < 200


@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_same_end_whatever_the_workers(
    new_run: NewRun, knobs: Knobs, tmp_path: Path, workers: int
) -> None:
    run = new_run(400, until="ci<=6")
    finish(run)
    knobs(seconds=0.002)
    other = Run(tmp_path / "other.db", run.plan, replace(run.settings, devices=("cpu",) * workers))
    finish(other)
    assert look(other) == look(run)
    assert prefix(other, STOPS) == prefix(run, STOPS)


@pytest.mark.slow
def test_ten_kills_of_the_driver_change_neither_the_end_nor_the_rows(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    run = new_run(400, until="decided", margin=10.0, drop_decided=True)
    finish(run)
    knobs(seconds=0.004)
    other = Run(tmp_path / "other.db", run.plan, replace(run.settings, devices=("cpu",) * 2))
    chance = random.Random(5)
    kills = 0
    while kills < 10:
        driver = other.launch().pid
        time.sleep(chance.uniform(0.0, 0.25))
        if lock_holder(other.db) is None:
            break  # it was through before
        kill(driver)
        other.wait_for_lock()
        kills += 1
    finish(other)
    decided = look(run).decided
    assert decided is not None
    assert look(other) == look(run)
    assert prefix(other, decided) == prefix(run, decided)
    assert kills >= 3


def test_a_run_that_has_ended_starts_no_worker_again(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    run = new_run(400, until="ci<=6")
    finish(run)
    before = run.count_rows()
    knobs(log=str(tmp_path / "units"))
    finish(run)
    assert read_units(tmp_path / "units") == []
    assert run.count_rows() == before
    assert run.status().message.endswith(f"met by the first {STOPS} of 400 images")


def test_a_tighter_rule_takes_about_what_was_forecast(new_run: NewRun) -> None:
    run = new_run(400, until="ci<=6")
    finish(run)
    said = forecast(run, until="ci<=4").needed
    finish(run, plan=replace(run.plan, until="ci<=4"))
    decided = look(run).decided
    assert decided is not None
    assert said == pytest.approx(decided, rel=0.1)
    assert decided == 230


def test_a_higher_ceiling_changes_nothing_where_the_rule_is_met(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    run = new_run(400, until="ci<=6", limit=300)
    finish(run)
    assert forecast(run).decided == STOPS
    knobs(log=str(tmp_path / "units"))
    finish(run, plan=replace(run.plan, limit=400))
    assert read_units(tmp_path / "units") == []
    assert run.status().message == f"--until ci<=6: met by the first {STOPS} of 400 images"


def test_a_higher_ceiling_lets_a_rule_be_met(new_run: NewRun) -> None:
    run = new_run(400, until="ci<=6", limit=80)
    finish(run)
    said = look(run)
    assert (said.images, said.decided, said.needed) == (80, None, 80)
    finish(run, plan=replace(run.plan, limit=400))
    assert look(run).decided == STOPS


def test_another_method_runs_over_the_same_images(new_run: NewRun) -> None:
    run = new_run(400, until="ci<=6")
    finish(run)
    finish(run, plan=replace(run.plan, methods=(*run.plan.methods, "layercam")))
    assert look(run).decided == STOPS
    assert STOPS <= counts(run)["layercam"] <= STOPS + 64


def test_every_image_after_all(new_run: NewRun) -> None:
    run = new_run(150, until="ci<=6")
    finish(run)
    finish(run, plan=replace(run.plan, until=None))
    assert run.status().message == ""
    with RunReader(run.db) as reader:
        assert reader.look() is None
    assert set(counts(run).values()) == {150}


WORSE = ("eigencam",)


def dropping(run: Run) -> RunPlan:
    return replace(
        run.plan,
        methods=("gradcam", "scorecam", *WORSE),
        until="decided",
        margin=10.0,
        drop_decided=True,
    )


def test_what_is_certainly_worse_is_dropped_and_finished_on_request(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    run = new_run(400)
    run.plan = dropping(run)
    knobs(worse=WORSE, log=str(tmp_path / "units"))
    finish(run)
    met, partial = look(run), counts(run)
    assert met.decided is not None
    (left,) = met.dropped.values()
    assert left <= partial["eigencam"] < met.decided <= partial["scorecam"]
    assert "eigencam: worse" in met.verdicts[0]
    assert any("resnet50/eigencam is certainly worse after" in event for event in run.events())
    finish(run, plan=replace(run.plan, drop_decided=False))
    whole = look(run)
    assert (whole.decided, whole.dropped) == (met.decided, {})
    assert counts(run)["eigencam"] >= met.decided
    assert {k: v for k, v in counts(run).items() if k != "eigencam"} == {
        k: v for k, v in partial.items() if k != "eigencam"
    }


def test_a_backbone_that_cannot_be_loaded_keeps_nobody_from_ending(
    new_run: NewRun, knobs: Knobs
) -> None:
    run = new_run(400, until="ci<=6", backbones=(BackboneSpec("resnet50"), BackboneSpec("vgg16")))
    knobs(unavailable=["vgg16"])
    assert run.end().state == "failed"
    with RunReader(run.db) as reader:
        assert max(summary.n for summary in reader.averages.summaries()) < 200
