"""The fields of the grid, and the order of its rows."""

from __future__ import annotations

from typing import Any

import pytest

from camtui.feed import Feed, Snapshot
from camtui.tui.grid_model import NOT_BEGUN, NOT_THERE, GridOptions, _two_lines, build
from tests.synthetic import make_run


def test_long_names_take_two_lines() -> None:
    assert _two_lines("vgg16", 9) == "vgg16"
    assert _two_lines("resnext50_32x4d", 9) == "resnext50\n_32x4d"
    assert _two_lines("x" * 30, 9).count("\n") == 1


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
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


def rows(snapshot: Snapshot, view: GridOptions) -> list[list[str]]:
    grid = build(snapshot, view, {}, lambda *_: None, 120)
    return [[field.text.strip() for field in line.fields] for line in grid.lines]


def test_what_cannot_be_is_told_from_what_is_still_to_come(snapshot: Snapshot) -> None:
    found = {row[0]: row[1:] for row in rows(snapshot, GridOptions())}
    assert NOT_THERE in found["cam"][1]
    assert NOT_BEGUN in found["scorecam"][1]
    assert found["gradcam"][1].startswith("~")
    assert not found["gradcam"][0].startswith("~")


@pytest.mark.parametrize("long", [False, True])
def test_rows_by_name_by_value_and_as_planned_each_both_ways(
    snapshot: Snapshot, long: bool
) -> None:
    def order(**changes: Any) -> list[tuple[str, ...]]:
        return [
            tuple(row[: 2 if long else 1])
            for row in rows(snapshot, GridOptions(long=long, **changes))
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
