"""Actions on a run from the dashboard, and the questions before them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from camtui.tui import run_actions
from camtui.tui.run_actions import CommandResult
from tests.camtui.tui.support import SIZES, opened


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that were run, each in place of a process of its own."""
    done: list[str] = []

    def run_command(*words: str) -> CommandResult:
        done.append(words[0])
        return CommandResult(1, "error: no") if words[0] == "retry" else CommandResult(0, "done")

    monkeypatch.setattr(run_actions, "run_command", run_command)
    return done


@pytest.mark.parametrize("answer", [("enter",), ("escape",), ("n",)])
async def test_no_is_the_answer_at_hand(
    partial_run: Path, actions: list[str], answer: tuple[str, ...]
) -> None:
    async with opened(partial_run) as tester:
        await tester.ask("r")
        await tester.press(*answer)
        await tester.on("GridScreen")
        assert actions == []


@pytest.mark.parametrize("size", SIZES.values())
async def test_every_answer_is_in_sight(partial_run: Path, size: tuple[int, int]) -> None:
    answers = {
        "r": [
            "Go on with the run part?",
            "▶No, leave it as it is",
            " Resume",
            "Enter no  y yes  Esc no",
        ],
        "R": ["Try the failed images of part again?", "▶No, leave it as it is", " Retry"],
        "e": [
            "Export as",
            "▶Nothing",
            "Markdown",
            "LaTeX",
            "CSV, fractions",
            "JSON",
            "one line per image and method",
            "Enter no  y Markdown table  Esc no",
        ],
    }
    async with opened(partial_run, size) as tester:
        for key, words in answers.items():
            await tester.ask(key)
            shown = tester.text()
            assert [word for word in words if word not in shown] == [], shown
            await tester.press("escape")


async def test_resume_and_retry_when_told_to(partial_run: Path, actions: list[str]) -> None:
    async with opened(partial_run) as tester:
        for key, action in (("r", "resume"), ("R", "retry")):
            await tester.ask(key)
            await tester.press("down", "enter")
            await tester.until(partial(actions.__contains__, action))


@pytest.mark.parametrize("answer", [None, ("enter",), ("down", "enter")])
async def test_export_writes_a_file_and_over_one_only_when_told_to(
    tmp_path: Path, seeded: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[str, ...] | None
) -> None:
    monkeypatch.chdir(tmp_path)
    file, kept = tmp_path / "seeded.md", answer == ("enter",)
    if answer:
        file.write_text("mine")
    async with opened(seeded) as tester:
        await tester.ask("e")
        await tester.press("down")
        await tester.ask("enter", "AskForPath")
        assert "Enter write" in tester.text()
        await tester.press("enter")
        if answer:
            await tester.until(lambda: "is there already" in tester.text())
            await tester.press(*answer)
        await tester.on("GridScreen")
        await tester.until(lambda: kept or (file.exists() and "gradcam" in file.read_text()))
    assert (file.read_text() == "mine") is kept


async def test_an_export_can_be_given_up_at_each_question(
    seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(seeded) as tester:
        for depth in (0, 1):
            await tester.ask("e")
            if depth:
                await tester.press("down")
                await tester.ask("enter", "AskForPath")
            await tester.ask("escape", "GridScreen")
    assert list(tmp_path.glob("seeded*")) == []
