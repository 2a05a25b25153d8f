"""Deletion and insertion played: the picture, the curve and the confidence at every step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from camtui.pictures import along_curve
from camtui.tui.curves import FRAMES, Play
from camtui.tui.screens.image import ImageScreen
from camtui.tui.widgets.gallery import Gallery
from tests.camtui.tui.support import DashboardTester, Settings, opened, toasts
from tests.synthetic import STEPS, make_run

ONE = Settings(cell="vgg16/scorecam", image="5")


def screen(tester: DashboardTester) -> ImageScreen:
    found = tester.app.screen
    assert isinstance(found, ImageScreen)
    return found


def play(tester: DashboardTester) -> Play:
    found = screen(tester).play
    assert found is not None
    return found


@asynccontextmanager
async def opened_image(
    run: Path, size: tuple[int, int] = (80, 24), settings: Settings = ONE
) -> AsyncIterator[DashboardTester]:
    async with opened(run, size, settings) as tester:
        await tester.until(
            lambda: tester.screen_name() == "ImageScreen" and screen(tester).image_data is not None
        )
        yield tester


def dots(tester: DashboardTester) -> int:
    """How many columns of the plot have dots."""
    lines = tester.part("play").splitlines()
    marked = {x for line in lines for x, sign in enumerate(line) if 0x2800 < ord(sign) < 0x2900}
    return len(marked)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (140, 40), (200, 55)])
async def test_the_picture_loses_its_pixels_while_the_curve_is_drawn(
    seeded: Path, size: tuple[int, int]
) -> None:
    async with opened_image(seeded, size) as tester:
        await tester.press("space")
        await tester.until(lambda: play(tester).place >= 2)
        await tester.press("space")
        assert not play(tester).running
        place, seen = play(tester).place, dots(tester)
        points = np.frombuffer(play(tester).measured.curve, dtype="<f2").astype(float)
        assert f"confidence {points[place]:.3f} (at first {points[0]:.3f})" in tester.text()
        assert f"{place}/{STEPS}" in tester.part("facts")
        assert f"{100 * place / STEPS:.0f} % removed" in tester.text()
        await tester.press(*["right"] * 6)
        assert play(tester).place == place + 6
        assert dots(tester) > seen
        await tester.press("left")
        assert play(tester).place == place + 5
        data = play(tester).image_data
        shown = tester.app.screen.query_one(Gallery)._items[0].picture
        assert shown is not None
        assert data.panels.image is not None
        assert data.panels.saliency is not None
        away = (shown != data.panels.image).any(axis=2)
        assert away.mean() == pytest.approx((place + 5) / STEPS, abs=0.01)
        assert data.panels.saliency[away].min() >= data.panels.saliency[~away].max() - 1e-6


async def test_it_ends_at_the_end_and_begins_again_and_the_other_curve_is_a_key_away(
    seeded: Path,
) -> None:
    async with opened_image(seeded) as tester:
        await tester.press("space")
        await tester.until(lambda: play(tester).place == STEPS)
        assert not play(tester).running
        assert "Space again" in tester.part("facts")
        await tester.press("d")
        assert play(tester).metric == "insertion"
        assert "pixels shown" in tester.text()
        await tester.press("space", "left")
        assert not play(tester).running
        await tester.press("escape")
        assert screen(tester).play is None
        assert "saliency" in tester.text() or "overlay" in tester.text()
        assert tester.screen_name() == "ImageScreen"
        await tester.press("space", "right_square_bracket")
        await tester.until(lambda: screen(tester).play is None)


def test_a_curve_of_many_steps_takes_no_more_pictures(seeded: Path) -> None:
    class Long(Play):
        steps = 224

    long = Long(None, None, "deletion")  # type: ignore[arg-type]  # only the place is asked
    frames = 0
    while long.running:
        long.go_on()
        frames += 1
    assert long.place == 224
    assert frames <= FRAMES


async def test_rows_without_curves_say_which_command_measures_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "plain.db", images=8, curves=False, pictures=True)
    async with opened_image(run) as tester:
        await tester.press("space")
        await tester.until(
            lambda: "camtui run … --name plain --metric deletion,insertion" in toasts(tester)
        )
        assert screen(tester).play is None


async def test_without_the_file_it_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "gone.db", images=8)
    async with opened_image(run) as tester:
        await tester.press("space")
        await tester.until(lambda: "image missing" in toasts(tester))


@pytest.mark.parametrize("empty", ["zero", "black", "blur"])
def test_removed_and_shown_pixels_are_each_other_s_rest(empty: str) -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    values = np.zeros((4, 4), dtype=np.float32)
    values[1, 2], values[3, 3] = 1, 0.5
    removed, shown = (
        along_curve(image, values, 3 / 16, removed=kind, empty=empty, loaded=None)
        for kind in (True, False)
    )
    chosen = np.zeros((4, 4), dtype=bool)
    chosen[1, 2] = chosen[3, 3] = chosen[0, 0] = True  # the first of those that are equal
    assert (removed[~chosen] == image[~chosen]).all()
    assert (shown[chosen] == image[chosen]).all()
    if empty == "black":
        assert (removed[chosen] == 0).all()
