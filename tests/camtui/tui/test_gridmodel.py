"""Names of the grid's columns."""

from __future__ import annotations

from camtui.tui.gridmodel import _two_lines


def test_long_names_take_two_lines() -> None:
    assert _two_lines("vgg16", 9) == "vgg16"
    assert _two_lines("resnext50_32x4d", 9) == "resnext50\n_32x4d"
    assert _two_lines("x" * 30, 9).count("\n") == 1
