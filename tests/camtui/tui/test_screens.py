from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from camtui.tui import verbs
from camtui.tui.app import Dashboard
from camtui.tui.screens.dialogs import Question
from camtui.tui.screens.help import own_bindings, sections
from camtui.tui.verbs import Said
from tests.camtui.tui.support import SIZES, Settings, opened
from tests.synthetic import make_run


async def test_numbers_go_to_the_screens_from_everywhere(seeded: Path) -> None:
    names = {"1": "GridScreen", "2": "CellScreen", "3": "ImageScreen", "4": "RunsScreen", "5": "LogScreen"}
    async with opened(seeded) as driver:
        for before in names:
            for key, name in names.items():
                await driver.press(before, key)
                assert driver.screen_name() == name
                assert len(driver.app.screen_stack) <= 3


# -- log -------------------------------------------------------------------------------------------------------------------------


async def test_log_has_events_errors_plan_and_file(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("5")
        assert "run started" in driver.text()
        await driver.press("tab")
        await driver.until(lambda: "▶errors" in driver.text() and driver.cells("log"))
        assert any("truncated" in " ".join(row) for row in driver.cells("log"))
        await driver.press("tab")
        await driver.until(lambda: any(row[0] == "seed" for row in driver.cells("log")))
        assert any(row[0] == "torch" for row in driver.cells("log"))
        assert any("layer" in row[1] for row in driver.cells("log"))
        await driver.press("down")
        assert driver.part("whole")
        await driver.press("tab")
        await driver.until(lambda: any(row[0] == "vgg16 masked" for row in driver.cells("log")))
        assert {row[3] for row in driver.cells("log")} == {"4", "1025", "54"}, "forwards of each stage"
        await driver.press("tab")
        await driver.until(lambda: "nothing" in driver.text())
        await driver.press("shift+tab", "escape")
        assert driver.screen_name() == "GridScreen"


# -- runs ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "home" / "runs"
    first = make_run(folder / "first.db", images=20, curves=False)
    second = make_run(folder / "second.db", images=30, curves=False, shift=0.2)
    return first, second


async def test_runs_with_state_best_and_difference_of_plans(two_runs: tuple[Path, Path]) -> None:
    first, second = two_runs
    (second.parent / "junk.db").write_text("no database at all, not even nearly")
    async with opened(first) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 3)
        rows = {row[1]: row for row in driver.cells("runs")}
        assert "COMPLETE" in rows["first"][2]
        assert rows["second"][5]
        assert rows["junk"][2] == "unreadable"
        await driver.press("end", "home")
        assert driver.part("difference")


async def test_open_another_run(two_runs: tuple[Path, Path]) -> None:
    first, second = two_runs
    async with opened(first) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 2)
        driver.table("runs").select(second)
        await driver.press("enter")
        await driver.until(lambda: driver.app.path == second and "second" in driver.part("title"))
        assert driver.screen_name() == "GridScreen"
        assert len(driver.app.screen_stack) == 2


async def test_mark_and_compare(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    async with opened(first, SIZES["large"]) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 2)
        await driver.press("equals_sign")
        assert driver.screen_name() == "RunsScreen"
        await driver.press("home", "space", "end", "space", "space", "space", "equals_sign")
        await driver.until(lambda: driver.screen_name() == "CompareScreen" and len(driver.cells("differences")) == 12)
        assert {row[-1] for row in driver.cells("differences")} <= {"better", "worse", "tie"}
        await driver.press("m")
        await driver.until(lambda: "drop↓" in driver.part("compared") and "paired" in driver.part("compared"))
        await driver.press("escape")
        assert driver.screen_name() == "RunsScreen"
        await driver.press("escape")
        assert driver.screen_name() == "GridScreen"


# -- help, palette, theme --------------------------------------------------------------------------------------------------------


async def test_help_lists_every_binding_of_every_screen(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("question_mark")
        words = {row[1] for row in driver.cells("help")}
        for _, kind in sections(Dashboard):
            assert {binding.description for binding in own_bindings(kind)} <= words
        await driver.press("escape")
        assert driver.screen_name() == "GridScreen"


def test_no_key_that_a_terminal_owns() -> None:
    for _, kind in sections(Dashboard):
        for binding in own_bindings(kind):
            assert not binding.key.startswith("f") or len(binding.key) == 1, "no F-key"
            assert not binding.key.startswith("ctrl+") or binding.key in ("ctrl+c", "ctrl+p", "ctrl+q"), (
                "no chord of tmux or screen"
            )


VERBS = {
    "logs": "▶log file", "errors": "▶errors", "show": "▶plan", "timings": "▶timings", "compare": "ADCC↑", "worst": "Worst images",
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
async def test_verbs_of_the_command_line_open_what_they_name(seeded: Path, verb: str) -> None:
    async with opened(seeded) as driver:
        await driver.press("5", "colon", *verb)
        await driver.until(lambda: verb in driver.text().splitlines()[5])
        await driver.press("enter")
        await driver.until(lambda: VERBS[verb] in driver.text())


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_palette_has_the_verbs_that_are_possible(seeded: Path, key: str) -> None:
    async with opened(seeded) as driver:
        await driver.press(key)
        assert driver.screen_name() == "CommandPalette"
        await driver.press(*"ls")
        await driver.until(lambda: "all runs" in driver.text())
        assert "stop the run" not in driver.text()
        await driver.press("enter")
        await driver.until(lambda: driver.screen_name() == "RunsScreen")


async def test_theme_changes_and_the_screen_follows(seeded: Path) -> None:
    async with opened(seeded) as driver:
        dark = driver.app.export_screenshot()
        await driver.press("t")
        assert driver.app.theme == "okabe-light"
        assert driver.app.export_screenshot() != dark


# -- stop, resume, retry ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def deeds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []

    def act(name: str, code: int, line: str) -> Callable[..., Said]:
        def deed(path: Path, *, now: bool | None = None) -> Said:
            done.append(name if now is None else f"{name} {now}")
            return Said(code, line)

        return deed

    monkeypatch.setattr(verbs, "resume", act("resume", 0, "resumed"))
    monkeypatch.setattr(verbs, "retry", act("retry", 1, "error: no"))
    monkeypatch.setattr(verbs, "stop", act("stop", 0, "stopping"))
    return done


@pytest.mark.parametrize("answer", [("enter",), ("escape",), ("n",)])
async def test_no_is_the_answer_at_hand(partial_run: Path, deeds: list[str], answer: tuple[str, ...]) -> None:
    async with opened(partial_run) as driver:
        await driver.press("r")
        await driver.until(lambda: isinstance(driver.app.screen, Question))
        await driver.press(*answer)
        await driver.until(lambda: driver.screen_name() == "GridScreen")
        assert deeds == []


async def test_resume_and_retry_when_told_to(partial_run: Path, deeds: list[str]) -> None:
    async with opened(partial_run) as driver:
        for key, verb in (("r", "resume"), ("R", "retry")):
            await driver.press(key)
            await driver.until(lambda: isinstance(driver.app.screen, Question))
            await driver.press("down", "enter")
            await driver.until(partial(deeds.__contains__, verb))


async def test_keys_that_mean_nothing_now_do_nothing(seeded: Path, deeds: list[str]) -> None:
    async with opened(seeded) as driver:
        await driver.press("x", "r")
        assert driver.screen_name() == "GridScreen"
    async with opened(seeded, settings=Settings(readonly=True)) as driver:
        await driver.press("R", "e")
        assert driver.screen_name() == "GridScreen"
        assert deeds == []


async def test_export_writes_a_file(tmp_path: Path, seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(seeded) as driver:
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, Question))
        await driver.press("down", "enter")
        await driver.until(lambda: driver.screen_name() == "AskForPath")
        await driver.press("enter")
        await driver.until(lambda: (tmp_path / "seeded.md").is_file())
        assert "gradcam" in (tmp_path / "seeded.md").read_text()


async def test_detaching_says_nothing_of_a_finished_run(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("q")
        assert driver.app.parting_words == ""
        assert driver.app.return_code == 0


# -- no run yet ------------------------------------------------------------------------------------------------------------------


async def test_first_screen_names_the_two_commands_and_opens_the_first_run(tmp_path: Path, seeded: Path) -> None:
    app = Dashboard(None, Settings(interval=0.1))
    async with app.run_test(size=SIZES["usual"]) as pilot:
        await pilot.pause()
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "camtui run --demo" in text
        assert "camtui run --data" in text
        await pilot.press("1", "e", "x", "colon", "escape")
        folder = tmp_path / "home" / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(seeded, folder / "new.db")
        for _ in range(100):
            await pilot.pause(0.05)
            if type(app.screen).__name__ == "GridScreen":
                break
        assert type(app.screen).__name__ == "GridScreen"
