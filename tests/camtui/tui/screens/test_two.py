"""Two maps of one image side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from camtui.pictures import Pixels, difference, upsampled
from camtui.tui.image_text import QUADRANTS
from camtui.tui.screens.two import Side, TwoScreen, names_of
from camtui.tui.widgets.gallery import Gallery
from tests.camtui.tui.support import DashboardTester, Settings, opened

THREE_SIZES = [(80, 24), (140, 40), (200, 55)]


def two(tester: DashboardTester) -> TwoScreen:
    screen = tester.app.screen
    assert isinstance(screen, TwoScreen)
    return screen


def pictures(tester: DashboardTester) -> list[Pixels]:
    items = tester.app.screen.query_one(Gallery)._items
    drawn = [item.picture for item in items if item.picture is not None]
    assert len(drawn) == 3
    return drawn


@asynccontextmanager
async def opened_two(
    run: Path, size: tuple[int, int] = (80, 24), settings: Settings | None = None
) -> AsyncIterator[DashboardTester]:
    settings = settings or Settings(cell="vgg16/gradcam", image="5")
    async with opened(run, size, settings) as tester:
        await tester.until(lambda: "×" in tester.part("where"))
        await tester.press("vertical_line")
        await tester.on("TwoScreen")
        await tester.until(lambda: "difference" in tester.part("facts"))
        yield tester


@pytest.mark.parametrize("size", THREE_SIZES)
async def test_two_methods_their_numbers_and_the_difference_of_their_maps(
    seeded: Path, size: tuple[int, int]
) -> None:
    async with opened_two(seeded, size) as tester:
        first, second = two(tester).sides
        assert (first.method, first.backbone) == ("gradcam", second.backbone)
        assert second.method != "fakecam"
        titles = tester.app.screen.query_one(Gallery).titles
        assert titles == ["gradcam", second.method, "difference"]
        assert set(QUADRANTS[1:]) & set(tester.text())
        below_the_title = "\n".join(tester.text().splitlines()[2:])
        assert "…" not in below_the_title.replace("of pixels", "")
        heads, *rows = tester.part("facts").splitlines()
        values = [row[heads.index("ADCC") - 3 : heads.index("ADCC↑") + 5] for row in rows]
        assert float(values[1]) - float(values[0]) == pytest.approx(float(values[2]), abs=0.011)
        found = two(tester)._found
        assert found is not None
        maps = [data.panels.saliency for data in found]
        assert maps[0] is not None
        assert maps[1] is not None
        assert (pictures(tester)[2] == difference(maps[0], maps[1])[0]).all()


async def test_methods_networks_sides_images_and_colours_by_keys(seeded: Path) -> None:
    async with opened_two(seeded) as tester:
        first, second = two(tester).sides
        await tester.press("m")
        assert two(tester).sides[1].method not in (first.method, second.method)
        await tester.press("M", "n")
        assert two(tester).sides[1] == second._replace(backbone="resnet18")
        assert "gradcam × vgg16" in tester.text()
        await tester.press("N", "less_than_sign")
        assert two(tester).sides == (second, first)
        before = pictures(tester)
        await tester.press("c", "a")
        assert (pictures(tester)[0] != before[0]).any()
        assert (pictures(tester)[2] == before[2]).all(), "the difference has colours of its own"
        place = two(tester)._place
        await tester.press("left_square_bracket" if place else "right_square_bracket")
        assert abs(two(tester)._place - place) == 1
        await tester.press("vertical_line")
        assert tester.screen_name() == "ImageScreen"


async def test_it_opens_from_the_list_from_a_tile_and_while_the_image_is_read(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.pilot.press("2", "vertical_line")
        await tester.on("TwoScreen")
        listed = two(tester).sides[0].method, two(tester)._images[two(tester)._place]
        await tester.press("escape")
        assert tester.screen_name() == "CellScreen"
        await tester.press("B")
        assert "two at once" not in tester.part("keys")
        await tester.press("vertical_line", "escape")
        await tester.pilot.press("3", "vertical_line")
        await tester.on("TwoScreen")
        assert listed == (two(tester).sides[0].method, two(tester)._images[two(tester)._place])
        await tester.press("escape", "A", "end", "vertical_line")
        await tester.on("TwoScreen")
        assert [side.method for side in two(tester).sides] == [listed[0], "fakecam"]


async def test_a_key_that_waits_for_an_image_is_forgotten_where_there_is_none(
    partial_run: Path,
) -> None:
    async with opened(partial_run, settings=Settings(cell="vgg16/scorecam")) as tester:
        await tester.on("CellScreen")
        await tester.press("vertical_line")
        assert tester.screen_name() == "CellScreen"


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_without_colours_what_is_higher_is_lighter(
    seeded: Path, ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ascii_only:
        monkeypatch.setenv("NO_COLOR", "1")
    settings = Settings(cell="vgg16/gradcam", image="5", ascii=ascii_only)
    async with opened_two(seeded, settings=settings) as tester:
        assert "light, up to " in tester.text()
        assert "blue" not in tester.text()
        assert "colours" not in tester.part("keys")
        drawn = pictures(tester)[2]
        found = two(tester)._found
        assert found is not None
        first, second = (data.panels.saliency for data in found)
        assert first is not None
        assert second is not None
        assert (drawn == drawn[:, :, :1]).all()
        change = abs(second - first)
        assert (drawn.max(), drawn.argmax() // 3) == (255, change.argmax())
        await tester.press("c", "escape")
        assert "overlay (grey, " in tester.text()
        assert "colours" not in tester.part("keys")


async def test_without_pictures_the_numbers_stay(seeded: Path) -> None:
    async with opened_two(seeded, settings=Settings(image="5", images="off")) as tester:
        assert not set(QUADRANTS[1:]) & set(tester.text())
        assert "ADCC↑" in tester.part("facts")


def test_a_difference_is_blue_where_the_first_is_higher_and_white_where_they_agree() -> None:
    first, second = np.zeros((2, 4, 4), dtype=np.float32)
    first[0, 0], second[3, 3] = 0.5, 0.25
    picture, largest = difference(first, second)
    assert largest == 0.5
    assert picture[0, 0].tolist() == [5, 80, 170]
    assert picture[1, 1].tolist() == [247, 247, 247]
    red, _, blue = picture[3, 3].tolist()
    assert red > blue
    assert (difference(first, upsampled(first, 4))[0] == 247).all()
    assert difference(first, upsampled(second, 8))[0].shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (("a", "net", "cam"), ("a", "net", "lime"), ["cam", "lime"]),
        (("a", "net", "cam"), ("a", "vgg", "cam"), ["net", "vgg"]),
        (("a", "net", "cam"), ("b", "net", "cam"), ["a", "b"]),
        (("a", "net", "cam"), ("a", "vgg", "lime"), ["cam × net", "lime × vgg"]),
        (("a", "net", "cam"), ("a", "net", "cam"), ["cam", "cam"]),
    ],
)
def test_sides_are_named_by_what_tells_them_apart(
    first: tuple[str, str, str], second: tuple[str, str, str], names: list[str]
) -> None:
    sides = [Side(Path(run), backbone, method) for run, backbone, method in (first, second)]
    assert names_of(sides, 28) == names
