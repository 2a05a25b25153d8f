"""Texts are fitted by the width that a terminal gives them."""

from __future__ import annotations

from camtui.tui.widgets.fields import fitted


def test_fitted_counts_terminal_cells() -> None:
    assert fitted("漢字", 6, right=True) == "  漢字"
    assert fitted("abcdef", 4, right=False) == "abc…"
    assert fitted("漢字漢字", 5, right=False) == "漢字…"
    assert fitted("ab", 1, right=False) == "a"
