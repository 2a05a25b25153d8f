"""Progress is rounded down, and time left is said where it is worth a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from camtui.format.terms import percent_done, time_left
from camtui.status import status_in
from tests.synthetic import make_run


@pytest.mark.parametrize(
    ("progress", "stage", "digits", "text"),
    [
        (0.0, "rows", 0, "0%"),
        (0.38, "rows", 0, "38%"),
        (0.999, "rows", 0, "99%"),
        (1.0, "ARCC", 0, "99%"),
        (1.0, "ARCC", 1, "99.9%"),
        (1.0, "", 1, "100.0%"),
        (0.29, "", 0, "29%"),
    ],
)
def test_percent(tmp_path: Path, progress: float, stage: str, digits: int, text: str) -> None:
    status = status_in(make_run(tmp_path / "a.db", methods=["gradcam"], images=2))
    assert percent_done(replace(status, progress=progress, stage=stage), digits) == text
    assert time_left(replace(status, eta_seconds=0.9)) == ""
    assert time_left(replace(status, eta_seconds=None)) == ""
    assert time_left(replace(status, eta_seconds=12.0)) == ", 12s left"
