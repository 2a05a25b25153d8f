"""Charts, and charts that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camtui.figures.charts import Ranked, bump, chart
from camtui.format.terms import method_title
from evaluator.store.reader import RunReader
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


def test_numbers_of_images_are_whole(home: Path) -> None:
    pytest.importorskip("matplotlib")
    with RunReader(make_run(home / "runs" / "few.db", images=12)) as reader:
        axes = chart(reader, "convergence").axes[0]
    assert [tick for tick in axes.get_xticks() if tick != round(tick)] == []


def test_of_many_methods_the_best_eight_are_lines_and_a_map_is_one(home: Path) -> None:
    pytest.importorskip("matplotlib")
    methods = (
        *("cam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam", "layercam"),
        *("eigencam", "fem", "finercam", "reciprocam", "ablationcam"),
    )
    path = make_run(home / "runs" / "many.db", backbones=["resnet18"], methods=methods)
    assert run("figure", "many", "convergence", "-o", str(home / "a.svg"))[0] == 0
    text = (home / "a.svg").read_text()
    assert "the 8 best in ADCC of 12 methods" in text
    with RunReader(path) as reader:
        means = {one.cell: one.means["adcc"].value for one in reader.averages.summaries()}
        once = [one for one in reader.cells() if one.method not in ("cam", "xgradcam")]
    order = sorted(once, key=lambda cell: -means[cell.id])
    drawn = [f">{method_title(cell.method)}<" in text for cell in order]
    assert drawn == [True] * 8 + [False] * 2
    assert ">CAM<" not in text


def test_names_stand_behind_the_lines_of_ranks(home: Path) -> None:
    pytest.importorskip("matplotlib")
    ranks: dict[str, tuple[float | None, ...]] = {
        "gradcam": (1, 2),
        "scorecam": (2, 1),
        "layercam": (3, None),
    }
    figure = bump([Ranked("here", ("one", "two"), ranks)])
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert {name: round(x) for name, (x, _) in places.items()} == {
        "Score-CAM": 1,
        "Grad-CAM": 1,
        "LayerCAM": 0,
    }
    assert places["LayerCAM"][1] == 3
    assert places["Score-CAM"][1] < places["Grad-CAM"][1]


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
