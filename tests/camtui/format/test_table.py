"""Tables: whose numbers, in which order, and as text that no name in them can break."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from camtui.format import (
    CellView,
    TableOptions,
    cell_views,
    long_table,
    matching,
    percent,
    pivot_table,
    plain_text,
    print_lines,
    summary_table,
    table_lines,
)
from camtui.format.select import find_cell
from evaluator.errors import NotFound, UsageError
from evaluator.metrics import all_metrics
from evaluator.store.reader import RunReader
from tests.camtui.format.conftest import ALL
from tests.synthetic import make_run


def test_the_papers_order_and_its_numbers(reader: RunReader) -> None:
    table = summary_table(reader)
    assert [c.key for c in table.columns] == [
        "method",
        "n",
        "average_drop",
        "average_increase",
        "deletion",
        "insertion",
        "coherency",
        "complexity",
        "adcc",
    ]
    fake = table.blocks[0].rows[0].entries
    assert (fake[0].text, fake[-2].text, fake[-1].text) == ("fakecam", "100.00", "0.01")


def test_every_number_is_that_of_the_summary(reader: RunReader) -> None:
    summaries = {s.cell: s for s in reader.averages.summaries()}
    table = summary_table(reader, TableOptions(digits=6))
    rows = [row for block in table.blocks for row in block.rows]
    for cell, row in zip(reader.cells(), rows, strict=True):
        if cell.applicable:
            shown = dict(zip([c.key for c in table.columns], row.entries, strict=True))
            assert shown["n"].text == str(summaries[cell.id].n)
            for key, mean in summaries[cell.id].means.items():
                assert float(shown[key].text) == pytest.approx(100 * mean.value, abs=1e-6)


def test_adcc_has_its_interval_and_the_others_on_request(reader: RunReader) -> None:
    def intervals(options: TableOptions) -> set[str]:
        table = summary_table(reader, options)
        return {
            c.key
            for c, e in zip(table.columns, table.blocks[0].rows[2].entries, strict=True)
            if e.interval
        }

    assert intervals(TableOptions()) == {"adcc"}
    assert intervals(TableOptions(ci=True)) == set(all_metrics()) & {
        c.key for c in summary_table(reader).columns
    }


def test_long_table_has_every_count_and_the_other_adcc(reader: RunReader) -> None:
    table = long_table(reader)
    keys = [c.key for c in table.columns]
    assert keys[:5] == ["backbone", "method", "n", "failed", "degenerate"]
    assert keys[-2:] == ["adcc", "mean_image_adcc"]
    assert len(table.blocks[0].rows) == 14
    summaries = {s.cell: s for s in reader.averages.summaries()}
    for cell, row in zip(reader.cells(), table.blocks[0].rows, strict=True):
        mean = summaries[cell.id].mean_image_adcc
        assert len(row.entries) == len(keys)
        if mean:
            assert row.entries[keys.index("mean_image_adcc")].text == percent(mean.value)
            assert row.entries[keys.index("degenerate")].text == str(summaries[cell.id].degenerate)


def test_pivot(reader: RunReader) -> None:
    table = pivot_table(reader, "complexity")
    assert [c.key for c in table.columns] == ["method", "resnet18", "vgg16"]
    assert [e.text for e in table.blocks[0].rows[0].entries] == ["fakecam", "100.00", "100.00"]
    assert table.blocks[0].rows[1].entries[2].text == "–"
    with pytest.raises(UsageError, match="unknown metric"):
        pivot_table(reader, "adc")


@pytest.mark.parametrize("curves", [True, False])
def test_the_table_fits_80_columns(tmp_path: Path, curves: bool) -> None:
    path = make_run(tmp_path / "a.db", methods=ALL, curves=curves, images=60)
    lines = plain_text(summary_table(RunReader(path))).splitlines()
    assert max(len(line) for line in lines if "errors" not in line) <= 80


def test_columns_stand_under_their_headers(reader: RunReader) -> None:
    lines = plain_text(summary_table(reader)).splitlines()
    header = next(line for line in lines if line.startswith("method"))
    body = next(line for line in lines if line.startswith("gradcampp"))
    for name in ("drop↓", "compl↓"):
        end = header.index(name) + len(name)
        assert body[end - 1].isdigit()
        assert body[end] in " *="


def test_lines_are_plain_where_there_is_no_terminal(reader: RunReader) -> None:
    stream = io.StringIO()
    print_lines(table_lines(summary_table(reader)), Console(file=stream, width=40))
    assert "\x1b" not in stream.getvalue()
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == plain_text(
        summary_table(reader)
    ).splitlines()


def test_lines_have_style_on_a_terminal(reader: RunReader) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=40)
    print_lines(table_lines(summary_table(reader)), console)
    assert "\x1b[1m" in stream.getvalue()


def test_a_hostile_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    reader = RunReader(make_run(tmp_path / "a.db", name="\x1b[2Jevil\u202e"))
    text = "".join(span.text for line in table_lines(summary_table(reader)) for span in line)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2Jevil" in text


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
    with pytest.raises(NotFound, match="nothing matches 'adcc>100'"):
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


@pytest.mark.parametrize("text", ["vgg16/gradcam", "vgg16:gradcam", "GradCAM", "vgg16:GRADCAM"])
def test_a_method_alone_is_the_cell_where_there_is_one_backbone(tmp_path: Path, text: str) -> None:
    with RunReader(
        make_run(
            tmp_path / "a.db", backbones=["vgg16"], methods=["gradcampp", "gradcam", "layercam"]
        )
    ) as reader:
        assert find_cell(reader, text).method == "gradcam"
        assert find_cell(reader, "layer").method == "layercam"
        with pytest.raises(UsageError, match="'grad' may be any of 2") as error:
            find_cell(reader, "grad")
        assert error.value.hint == "one of vgg16/gradcampp, vgg16/gradcam"
        with pytest.raises(NotFound, match="no network and method 'gradcan'") as none:
            find_cell(reader, "gradcan")
        assert (
            none.value.hint
            == "did you mean 'gradcam'? the run has vgg16/gradcampp, vgg16/gradcam, vgg16/layercam"
        )


def test_of_many_cells_a_few_are_named_and_the_rest_counted(reader: RunReader) -> None:
    cells = len(reader.cells())
    with pytest.raises(UsageError, match="'gradcam' may be any of 2"):
        find_cell(reader, "gradcam")
    with pytest.raises(NotFound) as error:
        find_cell(reader, "zzz")
    assert error.value.hint.endswith(f"and {cells - 6} more: camtui table RUN")


def test_format_is_light() -> None:
    code = (
        "import sys, camtui.format, camtui.export, camtui.paper, "
        "camtui.compare; print(*sys.modules)"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
    )
    assert not loaded & {
        "torch",
        "numpy",
        "textual",
        "PIL",
        "pyarrow",
        "matplotlib",
        "sqlite_utils",
        "rich",
    }
