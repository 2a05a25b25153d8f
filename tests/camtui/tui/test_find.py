"""Anything found: filters of lists, the palette, classes by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from camtui.tui.screens.cell import CellScreen
from tests.camtui.tui.support import DashboardTester, opened


async def type_words(tester: DashboardTester, words: str) -> None:
    for character in words:
        await tester.pilot.press("space" if character == " " else character)
    await tester.settle()


@pytest.fixture
def two_runs(seeded: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "runs"
    folder.mkdir(parents=True)
    shutil.copy(seeded, folder / "before.db")
    shutil.copy(seeded, folder / "after.db")
    return folder / "before.db"


@pytest.mark.parametrize(
    ("key", "list_", "words", "shown"),
    [
        ("1", "grid", "CAMpp", ["gradcampp", "smoothgradcampp"]),
        ("2", "images", "000010", ["1"]),
        ("2", "images", "class 391", ["1"]),
        ("4", "runs", "AFT", [""]),
        ("5", "log", "truncated", ["13:2"]),
    ],
)
async def test_every_list_is_filtered_and_says_so(
    two_runs: Path, key: str, list_: str, words: str, shown: list[str]
) -> None:
    async with opened(two_runs) as tester:
        await tester.press(key)
        await tester.until(lambda: tester.cells(list_))
        whole = len(tester.cells(list_))
        await tester.press("slash")
        await type_words(tester, words)
        await tester.press("enter")
        assert len(tester.cells(list_)) == len(shown) < whole
        assert f"filter: {words.lower()}" in tester.text().lower()
        assert f"1–{len(shown)} of {len(shown)}" in tester.text()
        await tester.press("n")
        place = [line.key for line in tester.table(list_).lines].index(
            tester.table(list_).cursor[0]
        )
        await tester.press("N")
        assert 0 <= place < len(shown)
        await tester.press("escape")
        await tester.until(lambda: len(tester.cells(list_)) == whole)
        assert "filter:" not in tester.text()


async def test_a_filter_that_nothing_meets_says_how_to_go_on(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2", "slash")
        await type_words(tester, "nowhere")
        await tester.press("enter")
        assert tester.cells("images") == []
        assert "no image has that in its path or its classes; Esc shows all" in tester.text()


@pytest.mark.parametrize(
    ("words", "line", "after"),
    [
        ("smooth", "smoothgradcampp", "▶smoothgradcampp"),
        ("resnet", "resnet18", "resnet18 × "),
        ("coher", "Coherency", "Coherency ↑"),
        ("aft", "after", "camtui table after"),
        ("000010", "00000010", "confidence"),
        ("class 39", "class 39", "filter: class 39"),
        ("timings", "timings", "ms/image"),
        ("metho", "method", "Worst images by"),
        ("logs", "what the driver", "▶log file"),
    ],
)
async def test_the_palette_finds_anything_by_a_part_of_its_name(
    two_runs: Path, words: str, line: str, after: str
) -> None:
    async with opened(two_runs) as tester:
        await tester.press("colon")
        await type_words(tester, words)
        await tester.until(lambda: line in tester.text().split("🔎")[1][len(words) + 1 :])
        await tester.pilot.press("enter")
        await tester.until(lambda: tester.screen_name() != "CommandPalette")
        await tester.until(lambda: after in tester.text())


async def test_the_palette_says_what_it_finds_and_shows_its_cursor_without_colour(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(seeded) as tester:
        await tester.press("colon")
        assert "a command, run, method, network, metric, class or image" in tester.text()
        await tester.until(lambda: "the averages" in tester.text())
        underlined = [
            segment.text
            for strip in tester.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style and segment.style.underline
        ]
        assert any("table" in text for text in underlined)
        assert not any("worst" in text for text in underlined)


async def test_g_lists_the_images_of_a_class(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("g")
        await type_words(tester, "391")
        await tester.until(lambda: "class 391" in tester.text())
        await tester.pilot.press("enter")
        await tester.on("CellScreen")
        assert isinstance(tester.app.screen, CellScreen)
        await tester.until(lambda: len(tester.cells("images")) == 1)
        assert "class 391" in tester.cells("images")[0][2]
