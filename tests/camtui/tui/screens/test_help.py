"""The help screen, and the keys that there are."""

from __future__ import annotations

from pathlib import Path

from camtui.tui.app import Dashboard
from camtui.tui.screens.help import HEADER, SCREENS, key_sections, own_bindings
from tests.camtui.tui.support import SIZES, opened
from tests.synthetic import make_run


async def test_help_lists_every_binding_of_every_screen(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("question_mark")
        assert tester.cells("help")[0][0] == "grid", "the keys of this screen come first"
        words = {row[1].partition(":")[0] for row in tester.cells("help")}
        for _, kind in key_sections(Dashboard):
            assert {binding.description for binding in own_bindings(kind)} <= words
        await tester.press("escape")
        assert tester.screen_name() == "GridScreen"


async def test_help_explains_the_marks_of_the_screen_that_it_was_asked_on(seeded: Path) -> None:
    async with opened(seeded) as tester:
        for keys, name in (
            ((), "GridScreen"),
            (("2",), "CellScreen"),
            (("3",), "ImageScreen"),
            (("4",), "RunsScreen"),
            (("5",), "LogScreen"),
        ):
            await tester.press(*keys)
            assert tester.screen_name() == name
            await tester.press("question_mark")
            shown = [row[0].strip() for row in tester.cells("help")]
            assert [mark for mark, _ in (*SCREENS[name], *HEADER) if mark not in shown] == []
            await tester.press("escape")


async def test_a_wide_help_has_two_columns(seeded: Path) -> None:
    async with opened(seeded, SIZES["large"]) as tester:
        await tester.press("question_mark")
        rows = tester.cells("help")
        assert rows[0][0] == "grid"
        first, second = ([row[place] for row in rows if len(row) == 4] for place in (0, 2))
        assert {"m M", "Esc", "▶"} <= {*first, *second}
        halves = [sum(map(bool, column)) for column in (first, second)]
        assert min(halves) > max(halves) / 2
        for _, kind in key_sections(Dashboard):
            for binding in own_bindings(kind):
                assert any(binding.description in row[1] + row[-1] for row in rows)


async def test_every_sign_of_the_grid_is_explained(tmp_path: Path) -> None:
    run = make_run(tmp_path / "part.db", partial={"resnet50/scorecam": 7})
    explained = " ".join(mark for mark, _ in SCREENS["GridScreen"])
    async with opened(run) as tester:
        await tester.until(
            lambda: any(text.endswith("*") for row in tester.cells() for text in row)
        )
        signs = set("".join("".join(row[1:]) for row in tester.cells())) - set("0123456789. n/a±")
        assert signs
        assert {sign for sign in signs if sign not in explained} == set()


def test_no_key_that_a_terminal_owns() -> None:
    for _, kind in key_sections(Dashboard):
        for binding in own_bindings(kind):
            assert not binding.key.startswith("f") or len(binding.key) == 1, "no F-key"
            assert not binding.key.startswith("ctrl+") or binding.key in (
                "ctrl+c",
                "ctrl+p",
                "ctrl+q",
                "ctrl+z",
            ), "no chord of tmux or screen"
