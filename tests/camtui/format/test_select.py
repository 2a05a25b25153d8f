"""Which cells, in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from camtui.format import (
    CellView,
    TableOptions,
    cell_views,
    long_table,
    matching,
    summary_table,
)
from camtui.format.select import find_cell
from evaluator.errors import NotFound, UsageError
from evaluator.store.reader import RunReader
from tests.synthetic import make_run


def names(views: list[CellView]) -> list[str]:
    return [f"{v.cell.backbone}/{v.cell.method}" for v in views]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("backbone=vgg*, method!=fakecam, adcc>74.5", ["vgg16/smoothgradcampp", "vgg16/scorecam"]),
        ("Scorecam", ["resnet18/scorecam", "vgg16/scorecam"]),
        ("n<=17, n>0", ["vgg16/scorecam"]),
        ("degenerate>0, method=cam", ["resnet18/cam"]),
        ("complexity>=99.99, backbone!=vgg16", ["resnet18/fakecam"]),
    ],
)
def test_filter(reader: RunReader, expression: str, expected: list[str]) -> None:
    assert names(matching(cell_views(reader), expression)) == expected


@pytest.mark.parametrize("expression", ["adc>3", "adcc>high", "backbone<vgg", "a=b=c,=", "n ! 3 ="])
def test_filter_that_cannot_be_read(reader: RunReader, expression: str) -> None:
    with pytest.raises(UsageError):
        matching(cell_views(reader), expression)


def test_filter_that_nothing_meets(reader: RunReader) -> None:
    with pytest.raises(NotFound, match="no cell matches 'adcc>100'"):
        matching(cell_views(reader), "adcc>100")


@pytest.mark.parametrize(("metric", "sign"), [("adcc", 1), ("average_drop", -1)])
def test_sort_puts_the_best_first_and_absent_ones_last(
    reader: RunReader, metric: str, sign: int
) -> None:
    table = long_table(reader, TableOptions(sort=metric))
    place = [c.key for c in table.columns].index(metric)
    texts = [row.entries[place].text for row in table.blocks[0].rows]
    assert texts[-1] == "–"
    values = [float(text) for text in texts[:-1]]
    assert values == sorted(values, key=lambda value: -sign * value)


def test_sorting_keeps_blocks_in_the_plans_order(reader: RunReader) -> None:
    table = summary_table(reader, replace(TableOptions(), sort="adcc"))
    assert [block.title.split()[0] for block in table.blocks] == ["resnet18", "vgg16"]
    assert table.blocks[0].rows[-1].entries[0].text == "fakecam"


@pytest.mark.parametrize("text", ["vgg16/gradcam", "gradcam", "GradCAM", "vgg16/GRADCAM"])
def test_a_method_alone_is_the_cell_where_there_is_one_backbone(tmp_path: Path, text: str) -> None:
    with RunReader(
        make_run(
            tmp_path / "a.db", backbones=["vgg16"], methods=["gradcampp", "gradcam", "layercam"]
        )
    ) as reader:
        assert find_cell(reader, text).method == "gradcam"
        assert find_cell(reader, "layer").method == "layercam"
        with pytest.raises(UsageError, match="2 cells match 'grad'") as error:
            find_cell(reader, "grad")
        assert error.value.hint == "one of vgg16/gradcampp, vgg16/gradcam"
        with pytest.raises(NotFound, match="no cell 'gradcan'") as none:
            find_cell(reader, "gradcan")
        assert (
            none.value.hint
            == "did you mean 'gradcam'? the run has vgg16/gradcampp, vgg16/gradcam, vgg16/layercam"
        )


def test_of_many_cells_a_few_are_named_and_the_rest_counted(reader: RunReader) -> None:
    cells = len(reader.cells())
    with pytest.raises(UsageError, match="2 cells match 'gradcam'"):
        find_cell(reader, "gradcam")
    with pytest.raises(NotFound) as error:
        find_cell(reader, "zzz")
    assert error.value.hint.endswith(f"and {cells - 6} more: camtui table RUN")
