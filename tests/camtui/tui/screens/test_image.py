from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.events import MouseScrollDown

from camtui import pictures as object_module
from camtui.pictures import Look
from camtui.tui.image_data import VIEWS, fact_lines, read_image_record, where_line
from camtui.tui.image_text import QUADRANTS
from camtui.tui.screens.image import IMAGES_CACHED, ImageScreen
from camtui.tui.theme import Images
from camtui.tui.widgets.gallery import Gallery, Tiles, arrange
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import SIZES, DashboardTester, Settings, opened, toasts
from tests.synthetic import add_masks, make_run


def image(tester: DashboardTester) -> ImageScreen:
    screen = tester.app.screen
    assert isinstance(screen, ImageScreen)
    return screen


def gallery(tester: DashboardTester) -> Gallery:
    return tester.app.screen.query_one(Gallery)


@asynccontextmanager
async def opened_image(run: Path, *size_and_settings: Any) -> AsyncIterator[DashboardTester]:
    """The worst image of the best cell."""
    async with opened(run, *size_and_settings) as tester:
        await tester.press("3")
        await tester.until(lambda: image(tester).image_data is not None)
        yield tester


async def test_facts_are_the_rows(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        screen = image(tester)
        with RunReader(seeded) as reader:
            worst = reader.ranking.page(screen.cell_id, "adcc", ascending=True, limit=1)[0]
            row = reader.rows.get(screen.cell_id, worst.image)
            assert row is not None
        assert screen.image_id == worst.image
        facts = tester.part("facts")
        assert f"class {row.predicted}" in facts
        assert f"{row.y:.3f} → {row.o:.3f}" in facts
        for value in (row.average_drop, row.coherency, row.complexity, row.adcc):
            assert value is not None
            assert f"{100 * value:.2f}" in facts
        assert "1/38" in tester.part("where")


def test_what_is_undefined_has_its_reason(seeded: Path) -> None:
    with RunReader(seeded) as reader:
        cell, undefined = next(
            (cell, image)
            for cell in reader.cells()
            for of, image in reader.rows.undefined()
            if of == cell.id
        )
        record = read_image_record(reader, cell, undefined, "adcc", worst=True)
    words = [
        "".join(field.text for field in line)
        for line in (where_line(record, "adcc", True, 100), *fact_lines(record, "adcc", 100))
    ]
    assert "undefined" in words[0]
    assert " average drop and ADCC undefined: y is 0" in words


async def test_next_and_previous_walk_the_order(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        first = image(tester).image_id
        await tester.press("right_square_bracket")
        await tester.until(lambda: "2/38" in tester.part("where"))
        await tester.press("left_square_bracket")
        await tester.until(lambda: "1/38" in tester.part("where"))
        assert image(tester).image_id == first
        await tester.press("left_square_bracket")
        assert "1/38" in tester.part("where")
        await tester.press("b")
        await tester.until(lambda: "best by ADCC 1/38" in tester.part("where"))


async def test_views_go_round(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        seen = [tuple(gallery(tester).titles)]
        for _ in range(3):
            await tester.press("o")
            seen.append(tuple(title.split(" (")[0] for title in gallery(tester).titles))
        assert seen[1] == ("saliency map", "masked")
        assert seen[2] == ("input", "saliency map", "overlay", "masked")
        assert seen[3] == ("overlay",)


async def test_all_four_side_by_side_where_there_is_room(seeded: Path) -> None:
    async with opened_image(seeded, SIZES["large"]) as tester:
        assert len(gallery(tester).titles) == 4
        drawn = sum(len(line.text.strip()) for line in gallery(tester)._drawn())
        assert drawn > 2000


def tiles(tester: DashboardTester) -> Tiles:
    return tester.app.screen.query_one(Tiles)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of fifteen methods, of which five have one map, and of two controls."""
    methods = "gradcam,cam,xgradcam,hirescam,shapleycam,gradcampp,smoothgradcampp,layercam,"
    methods += "eigencam,finercam,reciprocam,fem,kpcacam,centre,fakecam"
    path = tmp_path_factory.mktemp("many") / "many.db"
    backbones = ("resnet18",)
    return make_run(
        path,
        images=8,
        backbones=backbones,
        methods=methods.split(","),
        pictures=True,
        failures=False,
    )


@asynccontextmanager
async def opened_tiles(run: Path, *size_and_settings: Any) -> AsyncIterator[DashboardTester]:
    async with opened_image(run, *size_and_settings) as tester:
        await tester.press("A")
        await tester.until(lambda: tiles(tester).has_focus)
        yield tester


@pytest.mark.parametrize("key", ["A", "M"])
async def test_all_methods_beside_each_other(seeded: Path, key: str) -> None:
    async with opened_image(seeded, SIZES["large"]) as tester:
        before = image(tester).cell_id
        await tester.press(key)
        await tester.until(lambda: len(tiles(tester).titles) == 7)
        items = tiles(tester)._items
        assert [item.title for item in items[:: len(items) - 1]] == ["input", "fakecam"]
        assert tiles(tester).notes == []
        assert [item.title for item in items if item.dim] == ["fakecam"]
        best = [item for item in items if item.best]
        assert best
        assert all(item.caption.endswith("*") for item in best)
        values = [float(item.caption.rstrip("*")) for item in items[1:-1]]
        assert values == sorted(values, reverse=True)
        assert items[1].best
        await tester.press(key)
        await tester.until(lambda: len(gallery(tester).titles) == 4)
        assert image(tester).cell_id == before


@pytest.mark.parametrize(
    ("size", "pages"), [((60, 16), 4), ((80, 24), 3), ((140, 40), 1), ((200, 55), 1)]
)
async def test_tiles_are_on_as_many_pages_as_it_takes_and_nothing_is_cut(
    many: Path, size: tuple[int, int], pages: int
) -> None:
    async with opened_tiles(many, size) as tester:
        shown = tiles(tester)
        await tester.press("home")
        seen: list[int] = []
        for _ in range(shown.pages):
            page = shown._pages[shown.page]
            seen += page
            text = tester.text()
            for place, box in page.items():
                item = shown._items[place]
                assert box.width >= 16
                words = shown._words(item, box.width)
                assert all(line in text for line in words)
                details = item.details if shown.details_shown else ()
                for wanted in (item.title, item.caption, *details):
                    assert wanted in "".join(words)
            assert (f"page {shown.page + 1} of {pages}" in tester.part("facts")) == (pages > 1)
            await tester.press("pagedown")
        assert shown.pages == pages
        assert shown.details_shown == (size != SIZES["small"])
        assert seen == list(range(12))


async def test_methods_with_one_map_by_construction_are_one_tile(many: Path) -> None:
    async with opened_tiles(many, SIZES["large"]) as tester:
        equal = {item.title: item.details for item in tiles(tester)._items if item.details}
        assert equal == {"gradcam": ("cam", "xgradcam", "hirescam", "shapleycam")}


async def test_tiles_begin_with_the_best_and_then_where_one_has_been(many: Path) -> None:
    settings = Settings(cell="resnet18/centre", image="3")
    async with opened(many, SIZES["usual"], settings) as tester:
        await tester.until(lambda: tester.screen_name() == "ImageScreen")
        await tester.until(lambda: image(tester).image_data is not None)
        await tester.press("A")
        await tester.until(lambda: tiles(tester).has_focus)
        assert (tiles(tester).page, tiles(tester).cursor) == (0, 1)
        assert tiles(tester)._items[1].best
        await tester.press("pagedown", "escape", "A")
        await tester.until(lambda: tiles(tester).has_focus)
        assert tiles(tester).page == 1


async def test_tiles_are_chosen_by_arrows_and_enter_opens_the_method(many: Path) -> None:
    async with opened_tiles(many) as tester:
        number = image(tester).image_id
        await tester.press("home", "right", "down", "left", "up", "right", "l")
        assert tiles(tester).cursor == 2
        await tester.press("end", "down", "right")
        chosen = tiles(tester).cursor
        assert chosen == len(tiles(tester)._items) - 1
        assert "▶" in tester.text()
        assert "fakecam" in tester.part("where")
        await tester.press("left", "enter")
        await tester.until(lambda: gallery(tester).display)
        assert "resnet18 × centre" in tester.part("where")
        assert image(tester).image_id == number
        await tester.press("A")
        await tester.until(lambda: tiles(tester).display)
        assert tiles(tester).cursor == chosen - 1, "it begins on the method that is open"
        await tester.press("escape")
        await tester.until(lambda: gallery(tester).display)
        assert tester.screen_name() == "ImageScreen"


async def test_tiles_are_chosen_and_opened_by_mouse(many: Path) -> None:
    async with opened_tiles(many) as tester:
        box = tiles(tester)._pages[0][2]
        at = (box.x + 3, box.y + box.height)
        await tester.press("home")
        await tester.pilot.click(Tiles, offset=at)
        await tester.settle()
        assert tiles(tester).cursor == 2
        assert tiles(tester).display
        await tester.pilot.click(Tiles, offset=at, times=2)
        await tester.until(lambda: gallery(tester).display)
        method = image(tester)._tiles[2].record
        assert method is not None
        assert f"× {method.cell.method} " in tester.part("where")
        await tester.press("A")
        await tester.until(lambda: tiles(tester).has_focus)
        tiles(tester).post_message(
            MouseScrollDown(tiles(tester), 3, 3, 0, 1, 0, False, False, False)
        )
        await tester.until(lambda: tiles(tester).page == 1)


async def test_tiles_are_ordered_by_an_optional_metric_too(many: Path) -> None:
    async with opened_tiles(many, SIZES["large"]) as tester:
        while image(tester).metric != "deletion":
            await tester.press("W")
        await tester.until(lambda: "by del↓" in tester.part("facts"))
        values = [float(one.caption.rstrip("*")) for one in tiles(tester)._items[1:-2]]
        assert values == sorted(values)
        assert len(set(values)) > 3


async def test_colours_alpha_and_curves(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        assert "turbo, α 0.75" in gallery(tester).titles[1]
        await tester.press("c", "a")
        assert "inferno, α 1.0" in gallery(tester).titles[1]
        assert not tester.app.screen.query_one("#curves").display
        await tester.press("d")
        assert "Deletion ↓" in tester.part("curves")
        assert "Insertion ↑" in tester.part("curves")
        assert "100 % of pixels removed" in tester.part("curves")
        assert "100 % of pixels shown" in tester.part("curves")


@pytest.mark.parametrize("readonly", [False, True])
async def test_colours_and_alpha_are_remembered(seeded: Path, readonly: bool) -> None:
    async with opened_image(seeded, SIZES["usual"], Settings(readonly=readonly)) as tester:
        seen = []
        for _ in range(5):
            await tester.press("c")
            seen.append(image(tester).options.look.colours)
        assert seen == ["inferno", "viridis", "cividis", "grey", "turbo"]
        await tester.press("c", "a", "a")
        assert image(tester).options.look == Look("inferno", 0.5)
    async with opened_image(seeded) as tester:
        assert image(tester).options.look == (Look() if readonly else Look("inferno", 0.5))


async def test_what_is_remembered_may_be_anything(seeded: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for text in ("colours = 'jet'\nalpha = 7.0", "colours = [", "alpha = 'much'"):
        (home / "settings.toml").write_text(text)
        async with opened_image(seeded) as tester:
            assert image(tester).options.look == Look()


@pytest.mark.parametrize(
    ("size", "rows"), [((80, 24), 16), ((140, 40), 32), ((200, 55), 47), ((60, 16), 7)]
)
async def test_the_overlay_is_as_large_as_the_screen_allows(
    seeded: Path, size: tuple[int, int], rows: int
) -> None:
    async with opened_image(seeded, size) as tester:
        for _ in VIEWS:
            shown = gallery(tester)
            assert shown._largest is not None
            boxes = arrange(len(shown._items), *shown.size, False, shown._largest)
            assert boxes[shown._largest].height >= rows, tester.text()
            await tester.press("o")


@pytest.mark.parametrize("keys", [("A",), ("d",), ("A", "d")])
@pytest.mark.parametrize("size", [(60, 16), (62, 17)])
async def test_where_there_is_no_room_for_pictures_that_is_said(
    seeded: Path, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    async with opened_image(seeded, size) as tester:
        await tester.press(*keys)
        assert "no room for pictures" in tester.text() or set(QUADRANTS[1:]) & set(tester.text())
        assert "ADCC↑" in tester.text()


@pytest.mark.parametrize(
    ("images", "system", "glyphs"),
    [
        ("quadrants", "256", set("▘▝▖▗▚▞▙▛▜▟▌▐")),
        ("half", "256", set("▀")),
        ("quadrants", "standard", set("▀")),
    ],
)
async def test_quadrants_where_the_terminal_has_256_colours_else_halves(
    seeded: Path, images: Images, system: str, glyphs: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", system)
    async with opened_image(seeded, SIZES["usual"], Settings(images=images)) as tester:
        shown = set("".join(line.text for line in gallery(tester)._drawn())) & set(QUADRANTS[1:])
        assert shown
        assert shown & glyphs
        assert glyphs != {"▀"} or shown == glyphs


async def test_other_metric_other_rank(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        await tester.press("right_square_bracket")
        await tester.until(lambda: "2/38" in tester.part("where"))
        await tester.press("w")
        await tester.until(lambda: "by drop 1/38" in tester.part("where"))
        await tester.press("W")
        await tester.until(lambda: "by ADCC" in tester.part("where"))


async def test_a_missing_file_says_so_and_the_map_is_still_there(tmp_path: Path) -> None:
    run = make_run(tmp_path / "gone.db", pictures=True, images=6)
    shutil.rmtree(tmp_path / "data")
    async with opened_image(run, SIZES["large"]) as tester:
        assert any("image missing" in note for note in gallery(tester).notes)
        assert "saliency map (turbo)" in gallery(tester).titles
        assert set(QUADRANTS[1:]) & set(tester.text())


async def test_a_fixed_map_is_drawn_though_none_is_stored(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("G")
        assert "fakecam" in str(tester.table().cursor[0])
        await tester.press("3")
        await tester.until(lambda: image(tester).image_data is not None)
        assert gallery(tester).notes == []


async def test_pictures_can_be_off(seeded: Path) -> None:
    async with opened_image(seeded, SIZES["usual"], Settings(images="off")) as tester:
        assert not set(QUADRANTS[1:]) & set(tester.text())
        assert "ADCC↑" in tester.part("facts")


async def test_full_resolution_only_when_asked_for(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        await tester.press("i")
        assert tester.screen_name() == "ImageScreen"


async def test_a_cell_without_values_opens_and_closes(partial_run: Path) -> None:
    async with opened(partial_run) as tester:
        await tester.press("G", "k", "l", "3")
        await tester.until(lambda: "no image of this method has a value yet" in tester.text())
        await tester.press("right_square_bracket", "A", "o", "d", "y", "escape")
        assert tester.screen_name() == "GridScreen"


async def test_asked_for_on_the_command_line(seeded: Path) -> None:
    async with opened(seeded, settings=Settings(cell="vgg16/gradcam", image="3")) as tester:
        await tester.until(
            lambda: tester.screen_name() == "ImageScreen" and image(tester).image_data is not None
        )
        assert image(tester).image_id == 3
        assert "vgg16 × gradcam" in tester.part("where")
    async with opened(seeded, settings=Settings(cell="vgg16/gradcam")) as tester:
        await tester.until(lambda: tester.screen_name() == "CellScreen")
    async with opened(seeded, settings=Settings(cell="no/such")) as tester:
        assert tester.screen_name() == "GridScreen"


async def test_an_image_that_has_failed_says_why(seeded: Path) -> None:
    with RunReader(seeded) as reader:
        broken = reader.failures(limit=1)[0].image
    async with opened(seeded, settings=Settings(image=str(broken))) as tester:
        await tester.until(lambda: image(tester).image_data is not None)
        assert "truncated: image file is truncated" in tester.text()
        await tester.press("d", "right_square_bracket")
        assert image(tester).image_data is not None


def is_at(tester: DashboardTester, place: int) -> bool:
    return f"{place}/38" in tester.part("where")


async def test_only_so_many_images_are_kept(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        for place in range(2, IMAGES_CACHED + 4):
            await tester.press("right_square_bracket")
            await tester.until(partial(is_at, tester, place))
        assert len(image(tester)._inputs) == IMAGES_CACHED


async def test_the_path_is_copied(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        await tester.press("y")
        await tester.until(lambda: "path sent to the terminal" in toasts(tester))


@pytest.mark.parametrize("width", [60, 80, 140])
def test_long_names_push_no_number_off_the_screen(seeded: Path, width: int) -> None:
    with RunReader(seeded) as reader:
        cell = next(cell for cell in reader.cells() if cell.method == "gradcam")
        record = read_image_record(reader, cell, 1, "adcc", worst=True)
    assert record.loaded is not None
    assert record.row is not None
    long = replace(
        record.loaded,
        classes=tuple(f"Chesapeake Bay retriever of kind {place}" for place in range(1000)),
    )
    ref = record.image._replace(path=b"n02099849/" + b"ILSVRC2012_val_" * 5 + b"00000001.JPEG")
    known = replace(record, loaded=long, image=ref)
    facts = [
        "".join(field.text for field in line).rstrip() for line in fact_lines(known, "adcc", width)
    ]
    assert max(map(len, facts)) <= width
    assert f"{record.row.y:.3f} → {record.row.o:.3f}" in " ".join(facts)
    where = "".join(field.text for field in where_line(known, "adcc", True, width))
    assert len(where) <= width
    assert where.endswith(".JPEG")


async def test_the_edge_of_the_object_is_drawn_and_taken_away(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "true.db",
        images=6,
        methods=("gradcam",),
        backbones=("resnet18",),
        pictures=True,
        plan={"truth": str(tmp_path / "truth")},
    )
    add_masks(run, tmp_path / "truth")
    async with opened_image(run) as tester:
        drawn = {item.title: item.picture for item in gallery(tester)._items}
        await tester.press("T")
        plain = {item.title: item.picture for item in gallery(tester)._items}
        for title, picture in drawn.items():
            without = plain[title]
            assert picture is not None
            assert without is not None
            changed = (picture != without).any(axis=2)
            assert set(changed.any(axis=0).nonzero()[0]) == {111, 112}, (
                "the middle of 320 pixels, at both sides of the edge"
            )
            assert (picture[:, 111] == 255).all()
        await tester.press("T", "A")
        await tester.until(lambda: len(tiles(tester)._items) == 2)
    (tmp_path / "truth").rename(tmp_path / "gone")
    object_module._truths.cache_clear()
    async with opened_image(run) as tester:
        await tester.press("T")
        await tester.until(lambda: "no truth in" in toasts(tester))


async def test_a_run_without_a_truth_has_no_key_for_it(seeded: Path) -> None:
    async with opened_image(seeded) as tester:
        assert not tester.app.screen.check_action("truth", ())
