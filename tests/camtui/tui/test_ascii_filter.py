"""A screen in ASCII is as wide as the other."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from camtui.tui.app import AsciiFilter
from evaluator.text import as_ascii


def test_ascii_keeps_the_width_of_everything() -> None:
    text = "│é漢●⏎±\u200b⠿a"
    assert as_ascii(text).isascii()
    assert as_ascii("漢") == "??"
    (segment,) = AsciiFilter().apply([Segment("▶ 86.82 ±0.11*", Style(bold=True))], Color(0, 0, 0))
    assert segment.text == "> 86.82 ~0.11*"
    assert segment.style == Style(bold=True)
