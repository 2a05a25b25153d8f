from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2_contingency, f_oneway

from evaluator.synthetic.scene import (
    CLASSES,
    DISTRACTORS,
    PATTERNS,
    TEXTURES,
    WORLDS,
    Scene,
    World,
    draw,
    scene,
)

COUNT = 3000

WORDS: dict[str, Callable[[Scene], object]] = {
    "texture": lambda one: one.background.texture,
    "pattern of the object": lambda one: one.object.pattern,
    "number of distractors": lambda one: len(one.distractors),
    "outline of the first distractor": lambda one: (
        one.distractors[0].outline if one.distractors else "none"
    ),
    "pattern of the first distractor": lambda one: (
        one.distractors[0].pattern if one.distractors else "none"
    ),
    "quadrant of the object": lambda one: (one.object.x > 0.5, one.object.y > 0.5),
}

NUMBERS: dict[str, Callable[[Scene], float]] = {
    "size of the object": lambda one: one.object.radius,
    "angle of the object": lambda one: one.object.angle,
    "red of the object": lambda one: one.object.light[0],
    "red of the background": lambda one: one.background.first[0],
    "period of the background": lambda one: one.background.period,
    "size of the distractors": lambda one: sum(shape.radius for shape in one.distractors),
}


MARKS: dict[str, Callable[[Scene], float]] = {
    "size of the mark": lambda one: one.mark.radius if one.mark else 0,
    "place of the mark": lambda one: one.mark.x - one.object.x if one.mark else 0,
    "angle of the mark": lambda one: one.mark.angle if one.mark else 0,
    "red of the mark": lambda one: one.mark.light[0] if one.mark else 0,
}


@cache
def scenes(world: World = "shapes") -> list[Scene]:
    return [scene(7, index, world) for index in range(COUNT)]


def test_the_object_is_the_evidence_or_a_small_part_of_it_is() -> None:
    """In the world ``marks`` the mark is 7 % of the object, which is 30 % of the image."""
    for one in scenes()[:50]:
        picture = draw(one, 64)
        assert np.array_equal(picture.mask, picture.evidence)
    parts = []
    for one in scenes("marks")[:300]:
        picture = draw(one, 64)
        assert not (picture.evidence & ~picture.mask).any()
        parts.append((picture.mask.mean(), picture.evidence.sum() / picture.mask.sum()))
        assert one.mark is not None
        assert (one.mark.outline, one.object.outline) == (CLASSES[one.label], "plate")
        assert max(one.mark.light) > max(one.object.light) + 0.3
    assert np.mean(parts, 0).tolist() == pytest.approx([0.30, 0.07], abs=0.01)
    assert np.max(parts, 0)[1] < 0.15


def test_without_the_evidence_the_object_of_a_mark_stays() -> None:
    one = scenes("marks")[0]
    whole, without = draw(one, 64), draw(one, 64, with_object=False)
    changed = (whole.pixels != without.pixels).any(2)
    assert np.array_equal(whole.mask, without.mask)
    assert changed[whole.evidence].all()
    assert not changed[~whole.mask].any()
    assert changed.sum() < 1.6 * whole.evidence.sum()


def test_a_scene_depends_on_seed_and_index_only() -> None:
    assert scene(7, 123) == scenes()[123]
    assert scene(8, 123) != scene(7, 123)
    assert len({one.background.noise for one in scenes()}) == COUNT


def test_a_scene_known_by_heart() -> None:
    """Data sets of today are those of tomorrow: whoever changes what a seed stands for counts
    ``dataset.RULES`` up.
    """
    one = scene(0, 0)
    found = (
        CLASSES[one.label],
        one.background.texture,
        one.object.pattern,
        [shape.outline for shape in one.distractors],
    )
    assert found == ("triangle", "weave", "dots", ["bar"])
    assert one.object.radius == pytest.approx(0.23, abs=0.02)


def test_every_class_is_as_frequent_as_the_others() -> None:
    counts = np.bincount([one.label for one in scenes()], minlength=len(CLASSES))
    assert chi2_contingency([counts, [COUNT / len(CLASSES)] * len(CLASSES)]).pvalue > 1e-3
    assert {one.background.texture for one in scenes()} == set(TEXTURES)
    assert {one.object.pattern for one in scenes()} == set(PATTERNS)
    assert {shape.outline for one in scenes() for shape in one.distractors} == set(DISTRACTORS)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("what", WORDS)
def test_the_class_is_independent_of(what: str, world: World) -> None:
    values = [WORDS[what](one) for one in scenes(world)]
    kinds = sorted(set(values), key=str)
    table = np.zeros((len(CLASSES), len(kinds)))
    for one, value in zip(scenes(world), values, strict=True):
        table[one.label, kinds.index(value)] += 1
    assert chi2_contingency(table[:, table.sum(0) >= 40]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("what", "world"),
    [
        *((what, world) for what in NUMBERS for world in WORLDS),
        *((what, "marks") for what in MARKS),
    ],
)
def test_the_class_is_independent_of_the_number(what: str, world: World) -> None:
    number = (NUMBERS | MARKS)[what]
    groups = [
        [number(one) for one in scenes(world) if one.label == label]
        for label in range(len(CLASSES))
    ]
    assert f_oneway(*groups).pvalue > 1e-3


@pytest.mark.parametrize("world", WORLDS)
def test_shapes_lie_in_the_image_and_distractors_outside_the_circle_of_the_object(
    world: World,
) -> None:
    for one in scenes(world)[:500]:
        for shape in (one.object, *one.distractors):
            assert shape.radius <= min(shape.x, shape.y)
            assert max(shape.x, shape.y) <= 1 - shape.radius
        for shape in one.distractors:
            assert (
                np.hypot(shape.x - one.object.x, shape.y - one.object.y)
                > shape.radius + one.object.radius
            )


def test_colours_are_colours_and_light_is_lighter_than_dark() -> None:
    for one in scenes()[:500]:
        colours = np.array(
            [one.object.light, one.object.dark, one.background.first, one.background.second]
        )
        assert colours.min() >= 0
        assert colours.max() <= 1
        assert max(one.object.light) > max(one.object.dark) + 0.3
