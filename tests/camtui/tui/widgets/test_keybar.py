"""The footer, however narrow."""

from __future__ import annotations

from textual.binding import Binding

from camtui.tui.widgets.keybar import key_lines


def test_the_footer_keeps_the_way_out() -> None:
    bindings = [Binding(f"{letter}", letter, f"word {letter}") for letter in "abcdefghij"]
    bindings += [Binding("q", "detach", "detach (run continues)", id="always.q")]
    for width in (40, 60, 80):
        for rows in (1, 2):
            lines = [
                "".join(field.text for field in line) for line in key_lines(bindings, width, rows)
            ]
            assert len(lines) <= rows
            assert all(len(line) <= width for line in lines)
            assert "q detach" in lines[-1]
