"""Progress, rate and time left: each stage at its own price. (What `status` makes of it:
``test_status``.)
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from camtui.status import images_per_second, seconds_left, share_done, under_way
from evaluator.records import Stage

DONE = Stage(1, "cheap", "any", (1,), (), 10, 10, 2.0, 10, 5.0)
HALF = Stage(2, "dear", "any", (2,), (), 10, 5, 50.0, 5, 100.0)
UNTIMED = Stage(3, "dear", "any", (3,), (), 10, 0, 0.0, 0, 100.0)
WITHOUT_CELLS = Stage(4, "later", "any", (), (), 10, 0, 0.0, 0, 1000.0)


def test_nothing_planned_is_neither_done_nor_about_to_be() -> None:
    assert (share_done([]), seconds_left([], 1), under_way([])) == (0.0, None, None)


def test_all_done_is_no_time() -> None:
    assert (share_done([DONE]), seconds_left([DONE], 1), under_way([DONE])) == (1.0, 0.0, None)


def test_a_timed_stage_goes_by_its_images_and_another_by_its_forwards() -> None:
    assert share_done([DONE, HALF]) == pytest.approx((50 + 500) / 1050)
    assert seconds_left([DONE, HALF], 1) == pytest.approx(5 * 10.0)
    assert seconds_left([DONE, UNTIMED], 1) == pytest.approx(10 * 100 * 2.0 / 50)
    assert seconds_left([DONE, HALF], 4) == pytest.approx(12.5), "workers share the images"
    assert seconds_left([UNTIMED], 1) is None, "a guess would be off by any factor"


def test_a_stage_without_a_method_that_applies_is_not_waited_for() -> None:
    assert under_way([DONE, WITHOUT_CELLS, HALF]) is HALF
    assert seconds_left([DONE, WITHOUT_CELLS], 1) == 0.0


def test_the_rate_is_that_of_all_workers() -> None:
    assert images_per_second(HALF, 1) == pytest.approx(0.1)
    assert images_per_second(HALF, 2) == pytest.approx(0.2)
    assert images_per_second(UNTIMED, 2) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_eta_is_near_the_truth_from_a_tenth_of_the_way(seed: int) -> None:
    """A run replayed unit by unit: two backbones, a method of 5 forwards and one of 100, units that
    vary by 10 %.
    """
    random, images, unit = Random(seed), 400, 16
    costs = [
        5 * 0.03,
        100 * 0.02,
        5 * 0.03,
        100 * 0.02,
    ]  # seconds an image; a backward pass is dearer than its forwards say
    stages = [
        Stage(n, f"{n}", "any", (n,), (), images, 0, 0.0, 0, (5.0, 100.0)[n % 2]) for n in range(4)
    ]
    takes = [
        [unit * cost * random.uniform(0.9, 1.1) for _ in range(images // unit)] for cost in costs
    ]
    left = sum(map(sum, takes))
    for place, units in enumerate(takes):
        for seconds in units:
            stage = stages[place]
            stages[place] = replace(
                stage,
                done=stage.done + unit,
                seconds=stage.seconds + seconds,
                timed_images=stage.timed_images + unit,
            )
            left -= seconds
            if share_done(stages) >= 0.1 and left > 1:
                assert seconds_left(stages, 1) == pytest.approx(left, rel=0.15), (
                    place,
                    stages[place].done,
                )
