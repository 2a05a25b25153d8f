"""The fields of the grid, the order of its rows, and the panes of large terminals."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from camtui.feed import Feed, Snapshot
from camtui.format import Field, percent
from camtui.tui import grid_model
from camtui.tui.text import NOT_BEGUN
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
    lines = text(grid_model.component_lines(snapshot, "resnet50", "adcc", {}, 110, 11))
    views = [view for view in snapshot.views.values() if view.cell.backbone == "resnet50"]
    means = {view.cell.method: mean.value for view in views if (mean := view.mean("adcc"))}
    order = sorted((name for name in means if name != "fakecam"), key=lambda name: -means[name])
    *shown, rule, control = [line.split()[0] for line in lines[1:]]
    assert (shown, set(rule), control) == (order, {"─"}, "fakecam")
    for name in ("ADCC↑", "drop↓", "inc↑", "coh↑", "compl↓"):
        assert name in lines[0]
    assert percent(means[order[0]]) in lines[1]
    assert {len(line) for line in lines} == {len(lines[0])}, "columns are aligned"


def test_a_bar_shows_the_mean_within_its_interval() -> None:
    scale = grid_model.Scale(0.6, 0.8)
    fields = grid_model.interval(Mean(40, 0.7, 0.01), scale, 41, "")
    bar = "".join(field.text for field in fields)
    assert len(bar) == 41
    assert bar.index("●") == 20
    half = 1.96 * 0.01 / 0.2 * 40
    assert bar.count("─") == pytest.approx(2 * half, abs=3)
    assert bar.strip() == f"├{'─' * (bar.index('●') - bar.index('├') - 1)}●───┤"
    assert bar.endswith(" ")


def test_rows_that_are_left_show_the_other_backbones_then_the_other_metrics(
    snapshot: Snapshot,
) -> None:
    lines = text(grid_model.component_lines(snapshot, "resnet50", "adcc", {}, 150, 40))
    titles = [line.strip() for line in lines if ", " in line]
    assert titles == ["vgg16, ADCC", "resnet50, Average Drop", "resnet50, Average Increase"]
    assert len(lines) <= 40
    assert all(len(line) <= 150 for line in lines)
    assert "├" in lines[1]
    assert lines[1].count("±") == 1
    wide = text(grid_model.component_lines(snapshot, "resnet50", "adcc", {}, 190, 11))
    assert wide[1].count("±") == 7, "with intervals where there is room"


def test_what_does_not_fit_is_left_out(snapshot: Snapshot) -> None:
    narrow = text(grid_model.component_lines(snapshot, "vgg16", "adcc", {}, 60, 4))
    assert len(narrow) == 4
    assert all(len(line) <= 60 for line in narrow)


def test_leaders_are_drawn_over_each_other(snapshot: Snapshot) -> None:
    leaders = grid_model.leaders(snapshot, "vgg16", "adcc")
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


def test_long_names_take_two_lines() -> None:
    assert grid_model._two_lines("vgg16", 9) == "vgg16"
    assert grid_model._two_lines("resnext50_32x4d", 9) == "resnext50\n_32x4d"
    assert grid_model._two_lines("x" * 30, 9).count("\n") == 1


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """CAM does not apply to VGG-16, and Score-CAM has not begun there."""
    path = tmp_path_factory.mktemp("grid") / "run.db"
    feed = Feed(
        make_run(
            path,
            images=12,
            methods=("cam", "gradcam", "scorecam"),
            partial={"vgg16/scorecam": 0, "vgg16/gradcam": 5},
        )
    )
    found = feed.poll()
    feed.close()
    assert found is not None
    return found


def rows(cells: Snapshot, view: grid_model.GridOptions) -> list[list[str]]:
    _, lines = grid_model.build(cells, view, {}, lambda *_: None, 120)
    return [[field.text.strip() for field in line.fields] for line in lines]


def test_what_cannot_be_is_told_from_what_is_still_to_come(cells: Snapshot) -> None:
    found = {row[0]: row[1:] for row in rows(cells, grid_model.GridOptions())}
    assert grid_model.NOT_THERE in found["cam"][1]
    assert NOT_BEGUN in found["scorecam"][1]
    assert found["gradcam"][1].startswith("~")
    assert not found["gradcam"][0].startswith("~")


@pytest.mark.parametrize("long", [False, True])
def test_of_what_the_paper_did_not_print_the_measured_values_are_shown(
    cells: Snapshot, long: bool
) -> None:
    def paper(backbone: str, method: str, metric: str) -> float | None:
        return 0.5 if metric == "coherency" and not long else None

    for metric in ("adcc", "coherency"):
        options = grid_model.GridOptions(metric=metric, long=long)
        printed = replace(options, paper=True)
        same = grid_model.build(cells, printed, {}, paper, 120) == grid_model.build(
            cells, options, {}, paper, 120
        )
        hint = "".join(field.text for field in grid_model.hint_fields(cells, printed, paper))
        assert same is ("the paper has none of these: measured" in hint)
        assert same is (long or metric == "adcc")


@pytest.mark.parametrize("long", [False, True])
def test_rows_by_name_by_value_and_as_planned_each_both_ways(cells: Snapshot, long: bool) -> None:
    def order(**changes: Any) -> list[tuple[str, ...]]:
        return [
            tuple(row[: 2 if long else 1])
            for row in rows(cells, grid_model.GridOptions(long=long, **changes))
        ]

    planned, by_name = order(), order(order="name")
    assert order(descending=False) == planned[::-1]
    assert by_name == sorted(planned)
    assert order(order="name", descending=False) == by_name[::-1]
    best, worst = order(order="value"), order(order="value", descending=False)
    assert best[0] != worst[0]
    if long:
        begun = [cell for cell in best if cell not in [("cam", "vgg16"), ("scorecam", "vgg16")]]
        assert best[: len(begun)] == begun, "what has no value stands last"
