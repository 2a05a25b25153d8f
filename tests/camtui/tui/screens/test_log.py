"""The screen of events, errors, plan and file."""

from __future__ import annotations

from pathlib import Path

import pytest

from camtui.tui.text import in_words
from tests.camtui.tui.support import SIZES, opened


async def test_log_has_events_errors_plan_and_file(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("5")
        assert "run started" in tester.text()
        await tester.press("tab")
        await tester.until(lambda: "▶failed images (" in tester.text() and tester.cells("log"))
        assert any("truncated" in " ".join(row) for row in tester.cells("log"))
        await tester.press("tab")
        await tester.until(lambda: any(row[0] == "seed" for row in tester.cells("log")))
        assert any(row[0] == "torch" for row in tester.cells("log"))
        assert any("layer" in row[1] for row in tester.cells("log"))
        await tester.press("down")
        assert tester.part("whole").strip() == tester.cells("log")[1][1]
        await tester.press("tab")
        await tester.until(lambda: any(row[0] == "vgg16 masked" for row in tester.cells("log")))
        assert {row[3] for row in tester.cells("log")} == {"4", "1025", "54"}, (
            "forwards of each stage"
        )
        assert tester.part("whole").strip() == tester.cells("log")[0][0], "the title, which is cut"
        await tester.press("tab")
        await tester.until(lambda: "nothing" in tester.text())
        assert tester.part("whole") == ""
        await tester.press("shift+tab", "escape")
        assert tester.screen_name() == "GridScreen"


async def test_the_log_says_what_it_lists_in_words(seeded: Path) -> None:
    async with opened(seeded, SIZES["large"]) as tester:
        await tester.press("5")
        assert "what happened, as the run has stored it" in tester.text()
        await tester.press("shift+tab")
        await tester.until(lambda: "what the driver and its workers printed" in tester.text())
        await tester.press("tab", "tab", "tab")
        await tester.until(lambda: any(row[0] == "seed" for row in tester.cells("log")))
        values = [row[1] for row in tester.cells("log")]
        assert not [value for value in values if "None" in value or "{" in value or "[" in value]
        assert {"none", "no"} <= set(values)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        ("", "none"),
        (True, "yes"),
        (("a", "b"), "a, b"),
        ({"mean": (0.5, 0.4), "layer": None, "weights": ""}, "mean 0.5, 0.4"),
        ({}, "none"),
        (3, "3"),
    ],
)
def test_a_choice_in_words(value: object, words: str) -> None:
    assert in_words(value) == words
