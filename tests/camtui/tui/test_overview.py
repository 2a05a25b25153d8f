"""The panes of large terminals: all components of a backbone, its leaders, the worst image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from camtui.feed import Feed, Snapshot
from camtui.format import percent
from camtui.tui import grid_model
from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.gallery import Gallery
from evaluator.statistics import Mean
from tests.camtui.tui.support import SIZES, opened
from tests.synthetic import make_run


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    found = Feed(make_run(tmp_path / "val.db", backbones=("vgg16", "resnet50"))).poll()
    assert found is not None
    return found


def text(lines: list[list[Field]]) -> list[str]:
    return ["".join(field.text for field in line) for line in lines]


def test_methods_by_adcc_with_their_components_controls_last(snapshot: Snapshot) -> None:
    lines = text(grid_model.component_lines(snapshot, "resnet50", {}, 110, 20))
    views = [view for view in snapshot.views.values() if view.cell.backbone == "resnet50"]
    means = {view.cell.method: mean.value for view in views if (mean := view.mean("adcc"))}
    order = sorted((name for name in means if name != "fakecam"), key=lambda name: -means[name])
    assert [line.split()[0] for line in lines[1:]] == [*order, "fakecam"]
    for name in ("ADCC↑", "drop↓", "inc↑", "coh↑", "compl↓"):
        assert name in lines[0]
    assert percent(means[order[0]]) in lines[1]
    assert {len(line) for line in lines} == {len(lines[0])}, "columns are aligned"


def test_a_bar_shows_the_mean_within_its_interval() -> None:
    scale = grid_model.Scale(0.6, 0.8)
    fields = grid_model._bar(Mean(40, 0.7, 0.01), scale, 41, "")
    bar = "".join(field.text for field in fields)
    assert len(bar) == 41
    assert bar.index("●") == 20
    half = 1.96 * 0.01 / 0.2 * 40
    assert bar.count("─") == pytest.approx(2 * half, abs=2)
    assert bar.startswith("━" * (20 - round(half) - 1))
    assert bar.endswith(" ")


def test_what_does_not_fit_is_left_out(snapshot: Snapshot) -> None:
    narrow = text(grid_model.component_lines(snapshot, "vgg16", {}, 60, 4))
    assert len(narrow) == 4
    assert all(len(line) <= 60 for line in narrow)


def test_leaders_are_drawn_over_each_other(snapshot: Snapshot) -> None:
    leaders = grid_model.leaders(snapshot, "vgg16")
    assert len(leaders) == grid_model.LEADERS
    assert "fakecam" not in {cell.method for cell in leaders}
    curves = [
        (cell, [Mean(n, 0.6 + 0.02 * place + 0.001 * n, 0.01) for n in range(1, 40)])
        for place, cell in enumerate(leaders)
    ]
    lines = grid_model.leader_lines(curves, 40, 9)
    assert len(lines) <= 9
    assert {field.role for line in lines for field in line} >= {"series0", "series1", "series2"}
    assert "39 images" in "\n".join(text(lines))
    assert "needs more images" in text(grid_model.leader_lines([(leaders[0], [])], 40, 9))[0]


async def test_a_large_grid_uses_its_room(tmp_path: Path) -> None:
    run = make_run(tmp_path / "pics.db", pictures=True, images=12)
    async with opened(run, SIZES["large"]) as tester:
        await tester.until(lambda: "⠤" in tester.part("leaders") or "⠒" in tester.part("leaders"))
        await tester.until(lambda: "ADCC" in tester.part("worst"))
        chosen = tester.app.screen.chosen()  # type: ignore[attr-defined]  # the grid's
        assert f"{chosen.backbone}: all components" in tester.text()
        worst = tester.app.screen.query_one("#worst-picture", Gallery)
        await tester.until(lambda: bool(worst.titles))
        assert worst.notes == [], "the picture is there"
        blank = [line for line in tester.text().splitlines() if not line.strip(" │")]
        assert len(blank) <= 4, tester.text()
        await tester.press("z")
        assert "all components" not in tester.text()


async def test_names_are_whole_where_they_fit(tmp_path: Path) -> None:
    name = "resnet50:layer=layer3.5"
    run = make_run(
        tmp_path / "long.db",
        backbones=(name, "vgg16"),
        methods=("smoothgradcampp:variant=paper", "gradcam"),
    )
    async with opened(run, SIZES["large"]) as tester:
        assert name in tester.text()
        assert re.search(r"smoothgradcampp:variant=paper +\d", tester.text())
