"""The application as a whole: screens, keys that do nothing now, palette, theme, clipboard."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import grimp
import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.command import CommandPalette

from camtui.tui.app import CONDITIONAL_ACTIONS, Dashboard, unavailable_reason
from camtui.tui.terminal import AsciiFilter, sequence
from evaluator.text import as_ascii
from tests.camtui.tui.support import DashboardTester, Settings, opened, toasts
from tests.holder import held
from tests.synthetic import make_run

FAST = Settings(interval=0.05)


async def test_theme_changes_and_the_screen_follows(seeded: Path) -> None:
    async with opened(seeded) as tester:
        dark = tester.app.export_screenshot()
        await tester.press("t")
        await tester.until(lambda: isinstance(tester.app.screen, CommandPalette))
        await tester.press(*"okabe-light")
        await tester.pilot.pause(0.6)
        await tester.press("enter", "enter")
        await tester.until(lambda: tester.app.theme == "okabe-light")
        assert tester.app.export_screenshot() != dark
        tester.app.theme = "nord"
        await tester.settle()
        assert "scorecam" in tester.text()


async def test_detaching_says_nothing_of_a_finished_run(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("q")
        assert tester.app.exit_message == ""
        assert tester.app.return_code == 0


SCREENS = {
    "1": "GridScreen",
    "2": "CellScreen",
    "3": "ImageScreen",
    "4": "RunsScreen",
    "5": "LogScreen",
}


async def test_numbers_go_to_the_screens_from_everywhere(seeded: Path) -> None:
    async with opened(seeded) as tester:
        for before in SCREENS:
            for key, name in SCREENS.items():
                await tester.press(before, key)
                assert tester.screen_name() == name
                assert len(tester.app.screen_stack) <= 3


COMMANDS = {
    "logs": "▶log file",
    "errors": "▶failed images",
    "show": "▶plan",
    "timings": "▶timings",
    "compare": "ADCC↑",
    "worst": "Worst images",
    "ls": "took",
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_commands_of_the_command_line_open_what_they_name(seeded: Path, command: str) -> None:
    async with opened(seeded) as tester:
        await tester.press("5", "ctrl+p" if command == "ls" else "colon")
        assert tester.screen_name() == "CommandPalette"
        await tester.press(*command)
        await tester.until(lambda: command in tester.text().splitlines()[5])
        assert "stop the run" not in tester.text()
        await tester.press("enter")
        await tester.until(lambda: COMMANDS[command] in tester.text())


@pytest.mark.parametrize(
    ("run", "readonly", "reasons"),
    [
        (
            "seeded",
            False,
            {
                "x": "nothing to stop: the run is not under way",
                "r": "nothing to resume: the run is complete",
                "f": "",
            },
        ),
        (
            "partial_run",
            True,
            dict.fromkeys("xrRe", "not in a dashboard that was opened with --readonly"),
        ),
    ],
)
async def test_a_key_that_does_nothing_now_says_why(
    run: str, readonly: bool, reasons: dict[str, str], request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(run)
    async with opened(path, settings=Settings(readonly=readonly)) as tester:
        for key, reason in reasons.items():
            tester.app.clear_notifications()
            await tester.press(key)
            assert (tester.screen_name(), toasts(tester)) == ("GridScreen", reason)


async def test_in_a_dialog_a_key_is_not_the_application_s(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.ask("e")
        await tester.press("x")
        assert (tester.screen_name(), toasts(tester)) == ("Question", "")


async def test_what_can_be_done_goes_by_the_run_and_not_by_a_frozen_display(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    with held(run) as holder:
        async with opened(run, settings=FAST) as tester:
            await tester.until(lambda: "stop run" in tester.part("keys"))
            assert "q detach" in tester.part("keys")
            await tester.press("f")
            holder.kill()
            holder.wait()
            await tester.until(lambda: "resume run" in tester.part("keys"))
            assert "RUNNING" in tester.part("title")
            await tester.press("x")
            assert toasts(tester) == "nothing to stop: the run is not under way"


@pytest.mark.parametrize(
    "action", ["stop", "resume", "retry", "export", "copy_view", "freeze", "open_screen('cell')"]
)
def test_without_a_run_nothing_can_be_done_to_one(action: str) -> None:
    assert unavailable_reason(action, None) == "no run is open"


def test_every_action_that_the_rule_knows_is_one_of_the_dashboard() -> None:
    for name in CONDITIONAL_ACTIONS:
        assert callable(getattr(Dashboard, f"action_{name}")), name


def written_by(tester: DashboardTester, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that goes past Textual's own drawing to the terminal from now on."""
    written: list[str] = []
    assert tester.app._driver is not None
    monkeypatch.setattr(tester.app._driver, "write", written.append)
    return written


async def test_the_view_and_the_chosen_cell_go_to_the_clipboard(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(seeded) as tester:
        written = written_by(tester, monkeypatch)
        await tester.press("down", "Y", "y")
        cell, view = (
            b64decode(text.split(";")[2].rstrip("\a\x1b\\")).decode()
            for text in written
            if text.startswith("\x1b]52")
        )
        assert cell.split("\t") in tester.cells()
        assert cell.split("\t")[0] == tester.table().cursor[0]
        assert [line.split("\t") for line in view.splitlines()] == tester.cells()
        await tester.until(lambda: "the view sent to the terminal" in toasts(tester))


async def test_what_is_too_long_for_a_clipboard_is_refused(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(seeded) as tester:
        written = written_by(tester, monkeypatch)
        tester.app.copy("x" * 200_000, "the book")
        tester.app.copy("", "nothing")
        await tester.until(lambda: "the book is too long" in toasts(tester))
        assert written == []


def test_clipboard_passes_tmux_and_refuses_what_is_too_long() -> None:
    plain = sequence("ADCC ↑", inside_tmux=False)
    assert plain is not None
    assert b64decode(plain[len("\x1b]52;c;") : -1]).decode() == "ADCC ↑"
    wrapped = sequence("ADCC ↑", inside_tmux=True)
    assert wrapped is not None
    assert wrapped.startswith("\x1bPtmux;\x1b\x1b]52;")
    assert sequence("x" * 80_000, inside_tmux=False) is None


def test_ascii_keeps_the_width_of_everything() -> None:
    text = "│é漢●⏎±\u200b⠿a"
    assert as_ascii(text).isascii()
    assert as_ascii("漢") == "??"
    assert as_ascii("⠉⠁⣀⠄⡇⣿⠀▌") == "''..:# |", "curves keep their upper and their lower half"
    (segment,) = AsciiFilter().apply([Segment("▶ 86.82 ±0.11*", Style(bold=True))], Color(0, 0, 0))
    assert segment.text == "> 86.82 +0.11*"
    assert segment.style == Style(bold=True)


async def test_without_colour_there_is_no_theme_to_choose(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(seeded) as tester:
        theme = tester.app.theme
        await tester.press("t")
        assert tester.app.theme == theme


def test_screens_know_neither_the_application_nor_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("camtui", exclude_type_checking_imports=False)
    package = {"camtui.tui", *graph.find_descendants("camtui.tui")}
    assert graph.find_modules_that_directly_import("camtui.tui.app") & package == set()
    for module in package:
        imported = graph.find_modules_directly_imported_by(module) & package
        assert {other for other in imported if graph.chain_exists(other, module)} == set(), module


EVERYWHERE = {
    "grid": (),
    "table": ("v",),
    "cell": ("2",),
    "image": ("3",),
    "all methods": ("3", "A"),
    "two at once": ("2", "vertical_line"),
    "played": ("3", "space", "left"),
    "log": ("5",),
    "help": ("question_mark",),
    "palette": ("colon",),
}
"""Keys to every screen of one run."""


@pytest.mark.long
@pytest.mark.parametrize("screen", EVERYWHERE)
async def test_a_screen_that_was_resized_is_what_it_was(seeded: Path, screen: str) -> None:
    async with opened(seeded) as tester:
        await tester.pilot.press(*EVERYWHERE[screen])
        await tester.pilot.pause(0.5)
        await tester.settle()
        before, focused = tester.text(), tester.app.screen.focused
        for size in ((140, 40), (60, 15), (200, 55), (80, 24)):
            await tester.pilot.resize_terminal(*size)
            await tester.settle()
            assert tester.text().strip()
            assert max(map(len, tester.text().splitlines())) <= size[0]
        await tester.until(lambda: tester.text() == before)
        assert tester.app.screen.focused is focused
