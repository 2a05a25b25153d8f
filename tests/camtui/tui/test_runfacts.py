"""A line about the run, however narrow."""

from __future__ import annotations

from camtui.tui.runfacts import Part, most_important
from camtui.tui.widgets.fields import Field


def test_a_line_gives_up_its_least_important_parts_first() -> None:
    parts = [Part(0, Field("12.5%")), Part(2, Field(" 62 img/s")), Part(1, Field(" ETA 4h42"))]
    assert "".join(field.text for field in most_important(parts, 30)) == "12.5% 62 img/s ETA 4h42"
    assert "".join(field.text for field in most_important(parts, 15)) == "12.5% ETA 4h42"
    assert "".join(field.text for field in most_important(parts, 1)) == "12.5%"
