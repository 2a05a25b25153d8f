"""Actions on a run from the dashboard, and the questions before them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from camtui.tui import run_actions
from camtui.tui.run_actions import CommandResult
from camtui.tui.screens.dialogs import Question
from tests.camtui.tui.support import SIZES, Settings, opened


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []

    def act(name: str, code: int, line: str) -> Callable[..., CommandResult]:
        def action(path: Path, *, now: bool | None = None) -> CommandResult:
            done.append(name if now is None else f"{name} {now}")
            return CommandResult(code, line)

        return action

    monkeypatch.setattr(run_actions, "resume", act("resume", 0, "resumed"))
    monkeypatch.setattr(run_actions, "retry", act("retry", 1, "error: no"))
    monkeypatch.setattr(run_actions, "stop", act("stop", 0, "stopping"))
    return done


@pytest.mark.parametrize("answer", [("enter",), ("escape",), ("n",)])
async def test_no_is_the_answer_at_hand(
    partial_run: Path, actions: list[str], answer: tuple[str, ...]
) -> None:
    async with opened(partial_run) as tester:
        await tester.press("r")
        await tester.until(lambda: isinstance(tester.app.screen, Question))
        await tester.press(*answer)
        await tester.until(lambda: tester.screen_name() == "GridScreen")
        assert actions == []


@pytest.mark.parametrize("size", SIZES.values())
async def test_every_answer_is_in_sight(partial_run: Path, size: tuple[int, int]) -> None:
    answers = {
        "r": ["Go on with the run part?", "▶No, leave it as it is", " Resume", "⏎ choose"],
        "R": ["Try the failed images of part again?", "▶No, leave it as it is", " Retry"],
        "e": [
            "Export as",
            "▶Nothing",
            "Markdown",
            "LaTeX",
            "CSV, fractions",
            "JSON",
            "one line per image and cell",
        ],
    }
    async with opened(partial_run, size) as tester:
        for key, words in answers.items():
            await tester.press(key)
            await tester.until(lambda: isinstance(tester.app.screen, Question))
            await tester.settle()
            shown = tester.text()
            assert [word for word in words if word not in shown] == [], shown
            await tester.press("escape")


async def test_resume_and_retry_when_told_to(partial_run: Path, actions: list[str]) -> None:
    async with opened(partial_run) as tester:
        for key, action in (("r", "resume"), ("R", "retry")):
            await tester.press(key)
            await tester.until(lambda: isinstance(tester.app.screen, Question))
            await tester.press("down", "enter")
            await tester.until(partial(actions.__contains__, action))


async def test_keys_that_mean_nothing_now_do_nothing(seeded: Path, actions: list[str]) -> None:
    async with opened(seeded) as tester:
        await tester.press("x", "r")
        assert tester.screen_name() == "GridScreen"
    async with opened(seeded, settings=Settings(readonly=True)) as tester:
        await tester.press("R", "e")
        assert tester.screen_name() == "GridScreen"
        assert actions == []


async def test_export_writes_a_file(
    tmp_path: Path, seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(seeded) as tester:
        await tester.press("e")
        await tester.until(lambda: isinstance(tester.app.screen, Question))
        await tester.press("down", "enter")
        await tester.until(lambda: tester.screen_name() == "AskForPath")
        await tester.settle()
        assert "⏎ write" in tester.text()
        await tester.press("enter")
        await tester.until(lambda: (tmp_path / "seeded.md").is_file())
        assert "gradcam" in (tmp_path / "seeded.md").read_text()


@pytest.mark.parametrize(("answer", "kept"), [(("enter",), True), (("down", "enter"), False)])
async def test_a_file_that_is_there_is_written_over_only_when_told_to(
    tmp_path: Path,
    seeded: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[str, ...],
    kept: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeded.md").write_text("mine")
    async with opened(seeded) as tester:
        await tester.press("e")
        await tester.until(lambda: isinstance(tester.app.screen, Question))
        await tester.press("down", "enter")
        await tester.until(lambda: tester.screen_name() == "AskForPath")
        await tester.press("enter")
        await tester.until(lambda: "is there already" in tester.text())
        await tester.press(*answer)
        await tester.until(lambda: tester.screen_name() == "GridScreen")
        await tester.until(lambda: kept or "gradcam" in (tmp_path / "seeded.md").read_text())
    assert ((tmp_path / "seeded.md").read_text() == "mine") is kept


async def test_an_export_can_be_given_up_at_each_question(
    seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(seeded) as tester:
        await tester.press("e")
        await tester.until(lambda: isinstance(tester.app.screen, Question))
        await tester.press("escape")
        await tester.until(lambda: tester.screen_name() == "GridScreen")
        await tester.press("e")
        await tester.until(lambda: isinstance(tester.app.screen, Question))
        await tester.press("down", "enter")
        await tester.until(lambda: tester.screen_name() == "AskForPath")
        await tester.press("escape")
        await tester.until(lambda: tester.screen_name() == "GridScreen")
    assert list(tmp_path.glob("seeded*")) == []
