from __future__ import annotations

from dataclasses import replace

import numpy as np

from evaluator.synthetic.scene import CLASSES, draw, scene

SIDE = 64


def test_a_picture_is_the_same_each_time() -> None:
    one, again = draw(scene(3, 5), SIDE), draw(scene(3, 5), SIDE)
    assert one.pixels.shape == (SIDE, SIDE, 3)
    assert one.mask.shape == (SIDE, SIDE)
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one.mask, again.mask)


def test_only_the_object_changes_what_is_in_its_mask() -> None:
    """Where pixels differ with and without the object, there is the mask, but for pixels of its
    edge.
    """
    for index in range(40):
        one = scene(0, index)
        whole, without = draw(one, SIDE), draw(one, SIDE, with_object=False)
        assert not without.mask.any()
        differs = (whole.pixels != without.pixels).any(2)
        edge = np.zeros_like(whole.mask)
        for down, right in [(0, 1), (1, 0), (0, -1), (-1, 0)]:
            edge |= np.roll(whole.mask, (down, right), (0, 1))
        assert (
            differs & ~whole.mask & ~edge
        ).sum() <= 0.05 * whole.mask.sum()  # tips thinner than half a pixel
        assert differs[whole.mask].mean() > 0.95


def test_the_background_is_the_same_whatever_the_class() -> None:
    one = scene(0, 11)
    pictures = []
    for name in CLASSES:
        other = replace(one, label=CLASSES.index(name), object=replace(one.object, outline=name))
        assert not np.array_equal(draw(other, SIDE).mask, np.zeros((SIDE, SIDE)))
        pictures.append(draw(other, SIDE, with_object=False).pixels)
    assert all(np.array_equal(pictures[0], picture) for picture in pictures)


def test_a_square_that_stands_straight_is_where_its_numbers_say() -> None:
    one = scene(0, 0)
    shape = replace(one.object, outline="square", x=0.5, y=0.25, radius=0.25, angle=0.0)
    mask = draw(replace(one, label=CLASSES.index("square"), object=shape), 200).mask
    rows, columns = np.nonzero(mask)
    half = 0.7 * 0.25 * 200
    assert (rows.min(), rows.max() + 1) == (50 - half, 50 + half)
    assert (columns.min(), columns.max() + 1) == (100 - half, 100 + half)
    assert mask.sum() == (2 * half) ** 2


def test_another_side_shows_the_same_scene() -> None:
    small, large = draw(scene(0, 4), 64), draw(scene(0, 4), 128)
    shrunk = large.mask.reshape(64, 2, 64, 2).mean((1, 3)) >= 0.5
    assert (shrunk != small.mask).sum() <= 0.1 * small.mask.sum()
