"""Charts, and charts that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.camtui.figures.conftest import METHODS, run
from tests.synthetic import make_run

SVG = [(kind, "svg") for kind in ("convergence", "components", "ranks", "deletion", "insertion")]
PNG = [("components", "png"), ("deletion", "png")]
"""One of bars, one of curves: pixels are drawn by matplotlib from the same figure as the SVG."""


@pytest.mark.parametrize(("kind", "suffix"), [*SVG, *PNG])
def test_charts(home: Path, kind: str, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    target = home / f"{kind}.{suffix}"
    assert run("figure", "pics", kind, "-o", str(target))[0] == 0
    if suffix == "svg":
        text = target.read_text()
        assert "VGG-16" in text
        assert "Score-CAM" in text
    else:
        with Image.open(target) as picture:
            assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    first = target.read_bytes()
    run("figure", "pics", kind, "-o", str(target), "--force")
    assert target.read_bytes() == first


@pytest.mark.parametrize(
    ("kind", "shown"), [("convergence", False), ("ranks", False), ("components", True)]
)
def test_controls_are_in_charts_of_values_and_not_of_ranks(
    home: Path, kind: str, shown: bool
) -> None:
    pytest.importorskip("matplotlib")
    make_run(home / "runs" / "controls.db", methods=("gradcam", "randomcam", "scorecam", "centre"))
    assert run("figure", "controls", kind, "-o", str(home / "a.svg"))[0] == 0
    text = (home / "a.svg").read_text()
    assert "Score-CAM" in text
    assert [title in text for title in ("Random-CAM", "Centre")] == [shown, shown]


def test_charts_that_cannot_be(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(home / "runs" / "plain.db", methods=METHODS, curves=False)
    assert "no chart 'pie'" in run("figure", "pics", "pie", "-o", str(home / "a.png"))[1]
    assert "no deletion curves" in run("figure", "plain", "deletion", "-o", str(home / "a.png"))[1]
    make_run(home / "runs" / "few.db", methods=METHODS, images=6)
    assert "needs 10 images" in run("figure", "few", "convergence", "-o", str(home / "a.png"))[1]
    assert run("figure", "pics", "ranks", "-o", str(home / "a.gif"))[0] == 2
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    code, said = run("figure", "pics", "ranks", "-o", str(home / "a.png"))
    assert code == 2
    assert "camtui[figures]" in said
