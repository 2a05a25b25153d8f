"""A hostile or unlucky run does nothing to the screen."""

from __future__ import annotations

import sqlite3
import unicodedata
from pathlib import Path

import pytest
from rich.style import Style

from camtui.tui.app import Dashboard
from evaluator.errors import CamtuiError
from tests.camtui.tui.support import SIZES, DashboardTester, Settings, opened, toasts
from tests.synthetic import make_run

NAMES = (
    "[red]x[/red]",
    "\x1b[31mred\x1b]0;owned\x07",
    "\u202egnp.exe\u200b",
    "x" * 500,
    "漢字" * 40,
    "a\nb\tc\r",
    "[@click=app.exit]quit[/]",
    "",
)


def change(run: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    with sqlite3.connect(run) as connection:
        for statement, values in statements:
            connection.execute(statement, values)
    connection.close()


def assert_clean(tester: DashboardTester) -> None:
    text = tester.text()
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]


@pytest.mark.parametrize("name", NAMES)
async def test_names_of_run_backbone_method_image_class_and_events(
    tmp_path: Path, name: str
) -> None:
    run = make_run(tmp_path / "run.db", images=8, state="failed", pictures=True)
    change(
        run,
        ("UPDATE run SET name = ?, message = ?", (name, name)),
        ("UPDATE backbones SET name = ? WHERE id = 1", (name,)),
        ("UPDATE cells SET method = ?, note = ? WHERE id = 3", (name, name)),
        ("UPDATE images SET path = ? WHERE id = 2", (name.encode(),)),
        ("UPDATE failures SET reason = ?, detail = ?", (name, name)),
        ("UPDATE events SET level = ?, text = ?", (name, name)),
        ("UPDATE backbones SET loaded = replace(loaded, 'class 1', 'class \\u001b[1')", ()),
    )
    async with opened(run) as tester:
        for key in (
            "home",
            "down",
            "v",
            "2",
            "3",
            "A",
            "o",
            "4",
            "5",
            "tab",
            "tab",
            "question_mark",
            "escape",
            "1",
            "colon",
            "escape",
        ):
            await tester.press(key)
            assert_clean(tester)
        assert tester.screen_name() == "GridScreen"


async def test_file_names_that_are_not_utf8(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=4, paths=[b"n01440764/\xff\xfe.png"])
    async with opened(run, settings=Settings(cell="vgg16/gradcam", image="0")) as tester:
        await tester.until(lambda: "\\xff\\xfe" in tester.part("where"))
        await tester.press("y")
        assert_clean(tester)


async def test_a_run_without_a_row(tmp_path: Path) -> None:
    cells = {f"{b}/{m}": 0 for b in ("resnet18",) for m in ("gradcam", "scorecam")}
    run = make_run(
        tmp_path / "run.db",
        images=5,
        partial=cells,
        backbones=("resnet18",),
        methods=("gradcam", "scorecam"),
        state="starting",
        failures=False,
    )
    async with opened(run) as tester:
        assert "····" in tester.text()
        for key in ("m", "v", "s", "p", "2", "b", "w", "escape", "3", "escape", "4", "5", "1"):
            await tester.press(key)
            assert_clean(tester)


async def test_a_run_of_one_image(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=1, undefined=False, failures=False)
    async with opened(run) as tester:
        assert "±" not in tester.cells()[1][1], "one value has no interval"
        await tester.press("2", "enter")
        await tester.until(lambda: "1/1" in tester.part("where"))
        await tester.press("right_square_bracket", "left_square_bracket")
        assert "1/1" in tester.part("where")


async def test_a_run_that_failed_at_once(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run.db",
        images=3,
        partial={f"{b}/{m}": 0 for b in ("resnet18", "vgg16") for m in ALL},
        state="failed",
    )
    change(
        run,
        ("UPDATE run SET message = ?", ("weights not found: resnet18",)),
        ("DELETE FROM stages", ()),
    )
    async with opened(run) as tester:
        assert "FAILED" in tester.part("title")
        assert "weights not found" in tester.part("title")


ALL = ("fakecam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam")


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00" + b"\xff" * 4000])
def test_files_that_are_no_runs_are_refused_before_the_screen(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(content)
    with pytest.raises(CamtuiError):
        Dashboard(file)


def test_a_database_that_is_not_ours_is_refused_before_the_screen(tmp_path: Path) -> None:
    change(
        tmp_path / "bookmarks.db",
        ("CREATE TABLE run (id, name)", ()),
        ("INSERT INTO run VALUES (1, 'mine')", ()),
    )
    with pytest.raises(CamtuiError, match="a database, but not a run of camtui"):
        Dashboard(tmp_path / "bookmarks.db")


async def test_a_file_that_vanishes_while_open(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=4)
    async with opened(run, settings=Settings(interval=0.1)) as tester:
        run.unlink()
        await tester.until(lambda: "is gone" in tester.part("title"))
        for key in ("2", "3", "4", "5", "1"):
            await tester.press(key)
        assert "gradcam" in tester.text()


async def test_a_file_that_is_destroyed_while_open(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=40)
    async with opened(run, settings=Settings(interval=0.1)) as tester:
        run.write_bytes(b"\x00" * 10_000)
        for key in ("2", "enter", "3", "4", "5", "1"):
            await tester.press(key)
            assert_clean(tester)


async def test_maps_and_values_that_are_no_maps(tmp_path: Path) -> None:
    """A file of 0.1, whose rows have no checksums that would tell."""
    run = make_run(tmp_path / "run.db", images=5, pictures=True)
    change(
        run,
        ("UPDATE results SET map = ? WHERE cell_id > 6", (b"abc",)),
        ("UPDATE results SET target = -7, predicted = 99999, checksum = NULL", ()),
        ("UPDATE run SET born = 1", ()),
    )
    async with opened(run, SIZES["large"]) as tester:
        await tester.press("G", "l", "l", "3")
        await tester.until(lambda: "class 99999" in tester.part("facts"))
        await tester.press("A")
        assert_clean(tester)


async def test_ascii_and_no_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run.db", images=5, pictures=True)
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(run, settings=Settings(ascii=True)) as tester:
        for keys in ((), ("2",), ("enter",), ("A",), ("4",), ("5",)):
            await tester.press(*keys)
            for strip in tester.app.screen._compositor.render_strips():
                filtered = strip
                for line_filter in tester.app.get_line_filters():
                    filtered = filtered.apply_filter(
                        line_filter, tester.app.screen.background_colors[0]
                    )
                assert filtered.text.isascii()
                for segment in filtered:
                    style = segment.style or Style()
                    assert all(
                        colour is None or colour.is_default
                        for colour in (style.color, style.bgcolor)
                    )


async def test_rows_that_are_not_what_was_written_are_refused_with_words(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=5, undefined=False)
    change(run, ("UPDATE results SET predicted = 99999", ()))
    async with opened(run) as tester:
        await tester.press("3")
        await tester.until(lambda: "is not what was written" in toasts(tester))
        assert "no image of this method" not in tester.text()
