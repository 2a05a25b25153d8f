"""What people read: numbers as the paper prints them, ranks with ties, tables that fit and say what must be said."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from camtui.format import (
    CellView,
    Options,
    cell_views,
    count,
    duration,
    long_table,
    matching,
    metric_header,
    percent,
    pivot_table,
    plain_text,
    print_table,
    rank_cells,
    rate,
    short_count,
    signed_percent,
    size,
    summary_table,
    table_lines,
    with_interval,
)
from evaluator.errors import NotFound, UsageError
from evaluator.metrics import all_metrics
from evaluator.records import Cell
from evaluator.statistics import CellSummary, Mean, PairedDifference
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

ALL = ("fakecam", "cam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunReader]:
    path = make_run(tmp_path_factory.mktemp("runs") / "demo.db", methods=ALL, partial={"vgg16/scorecam": 17})
    reader = RunReader(path)
    yield reader
    reader.close()


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.535192, 2, "53.52"),
        (1 - 1 / 50176, 2, "100.00"),
        (5.98e-5, 2, "0.01"),
        (-1e-9, 2, "0.00"),
        (0.5, 0, "50"),
        (None, 2, "–"),
    ],
)
def test_percent(value: float | None, digits: int, text: str) -> None:
    assert percent(value, digits) == text


def test_signed_percent() -> None:
    assert [signed_percent(v) for v in (0.012, -0.0031, 0.0, -1e-9, 1e-9, None)] == [
        "+1.20",
        "-0.31",
        "0.00",
        "0.00",
        "0.00",
        "–",
    ]


def test_interval() -> None:
    assert with_interval(Mean(100, 0.7527, 0.001)) == "75.27 ±0.20"
    assert with_interval(Mean(1, 0.7527, None)) == "75.27"
    assert with_interval(None) == "–"


def test_headers_have_the_direction() -> None:
    headers = [metric_header(metric) for metric in all_metrics().values()][:7]
    assert headers == ["drop↓", "inc↑", "del↓", "ins↑", "coh↑", "compl↓", "ADCC↑"]
    assert metric_header(all_metrics()["average_drop"], long=True) == "Average Drop ↓"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00001, "<0.0001 img/s"), (0.0312, "0.0312 img/s"), (0.04, "0.04 img/s"), (4.126, "4.13 img/s"), (62.04, "62 img/s"),
        (136.4, "136 img/s"), (12_345.6, "12,346 img/s"),
    ],
)  # fmt: skip
def test_rates_keep_three_digits_however_slow_or_fast(value: float, text: str) -> None:
    assert rate(value) == text


def test_counts_times_and_sizes() -> None:
    assert [count(50_000), short_count(9_999), short_count(27_900), short_count(1_800_000)] == [
        "50,000",
        "9999",
        "27.9k",
        "1.80M",
    ]
    assert [duration(s) for s in (0.4, 59.4, 164, 16_920, 100_000, None)] == ["0s", "59s", "2m44", "4h42", "1d03h", "–"]
    assert [size(n) for n in (12, 62_000_000)] == ["12 B", "62.0 MB"]


# -- ranks ---------------------------------------------------------------------------------------------------------------------


def view(
    cell: int, value: float | None, *, se: float | None = 0.01, n: int = 100, method: str = "", metric: str = "adcc"
) -> CellView:
    means = {} if value is None else {metric: Mean(n, value, se)}
    return CellView(Cell(cell, "resnet18", method or f"m{cell}", True, ""), CellSummary(cell, n, 0, 0, means, None), 100)


def never(metric: str, first: int, second: int) -> PairedDifference | None:
    raise AssertionError("far apart: nothing to read")


def test_best_and_second_without_reading_rows_where_intervals_are_far_apart() -> None:
    views = [view(1, 0.5), view(2, 0.9), view(3, 0.7)]
    assert rank_cells(views, all_metrics()["adcc"], never) == {2: "best", 3: "second"}


def test_lower_is_better_for_drop() -> None:
    views = [view(1, 0.5, metric="average_drop"), view(2, 0.9, metric="average_drop")]
    assert rank_cells(views, all_metrics()["average_drop"], never)[1] == "best"


def test_near_cells_tie_only_by_the_paired_test() -> None:
    views = [view(1, 0.80), view(2, 0.79), view(3, 0.78)]
    pairs = {(1, 2): PairedDifference(100, 0.01, 0.02), (1, 3): PairedDifference(100, 0.02, 0.001)}
    assert rank_cells(views, all_metrics()["adcc"], lambda m, a, b: pairs[a, b]) == {1: "best", 2: "tie", 3: "second"}


def test_cells_of_unequal_n_are_always_paired() -> None:
    views = [view(1, 0.9), view(2, 0.1, n=40)]
    assert rank_cells(views, all_metrics()["adcc"], lambda m, a, b: PairedDifference(40, 0.0, 0.1)) == {1: "best", 2: "tie"}


def test_fake_cam_takes_no_part_and_one_method_has_no_rank() -> None:
    views = [view(1, 0.99, method="fakecam"), view(2, 0.5)]
    assert rank_cells(views, all_metrics()["adcc"], never) == {}


def test_ranks_of_a_run(reader: RunReader) -> None:
    views = {f"{v.cell.backbone}/{v.cell.method}": v for v in cell_views(reader, [all_metrics()["adcc"]])}
    resnet = {v.cell.method: v.marks.get("adcc", "") for v in views.values() if v.cell.backbone == "resnet18"}
    assert resnet["scorecam"] == "best"
    assert resnet["fakecam"] == ""
    best = views["resnet18/scorecam"].cell.id
    for method in ("cam", "gradcampp", "smoothgradcampp"):
        paired = reader.paired("adcc", best, views[f"resnet18/{method}"].cell.id)
        assert paired is not None
        assert (resnet[method] == "tie") == paired.tie


# -- tables --------------------------------------------------------------------------------------------------------------------


def test_the_papers_order_and_its_numbers(reader: RunReader) -> None:
    table = summary_table(reader)
    assert [c.key for c in table.columns] == [
        "method", "n", "average_drop", "average_increase", "deletion", "insertion", "coherency", "complexity", "adcc",
    ]  # fmt: skip
    fake = table.blocks[0].rows[0].entries
    assert (fake[0].text, fake[-2].text, fake[-1].text) == ("fakecam", "100.00", "0.01")


def test_every_number_is_that_of_the_summary(reader: RunReader) -> None:
    summaries = {s.cell: s for s in reader.summaries()}
    table = summary_table(reader, Options(digits=6))
    rows = [row for block in table.blocks for row in block.rows]
    for cell, row in zip(reader.cells(), rows, strict=True):
        if cell.applicable:
            shown = dict(zip([c.key for c in table.columns], row.entries, strict=True))
            assert shown["n"].text == str(summaries[cell.id].n)
            for key, mean in summaries[cell.id].means.items():
                assert float(shown[key].text) == pytest.approx(100 * mean.value, abs=1e-6)


def test_adcc_has_its_interval_and_the_others_on_request(reader: RunReader) -> None:
    def intervals(options: Options) -> set[str]:
        table = summary_table(reader, options)
        return {c.key for c, e in zip(table.columns, table.blocks[0].rows[2].entries, strict=True) if e.interval}

    assert intervals(Options()) == {"adcc"}
    assert intervals(Options(ci=True)) == set(all_metrics()) & {c.key for c in summary_table(reader).columns}


def test_what_must_be_said_is_said(reader: RunReader) -> None:
    text = plain_text(summary_table(reader))
    assert "cam             not applicable: CAM needs a GAP + linear head" in text
    assert "xgradcam: identical to gradcam by construction" in text
    assert "degenerate (the map is all zero: ADCC 0): cam 3, gradcam 3, xgradcam 3" in text
    assert "failed: 1 in every method" in text
    assert "~ not every image yet" in text
    assert "~17" in text
    assert "paired test" in text


def test_a_complete_run_without_failures_says_none_of_that(tmp_path: Path) -> None:
    reader = RunReader(make_run(tmp_path / "a.db", methods=["gradcampp"], backbones=["vgg16"], failures=False))
    text = plain_text(summary_table(reader))
    assert not any(word in text for word in ("not every", "degenerate", "failed", "identical", "random", "first"))


def test_random_weights_and_fewer_images_are_said(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["resnet18:weights=random:0"], plan={"limit": 9, "resize": 256}, images=9)
    text = plain_text(summary_table(RunReader(path)))
    assert "random weights, untrained" in text
    assert "not the whole data set: the first 9 images" in text
    assert "resize 256" in text


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


def test_print_table_is_plain_where_there_is_no_terminal(reader: RunReader) -> None:
    stream = io.StringIO()
    print_table(reader, Console(file=stream, width=40))
    assert "\x1b" not in stream.getvalue()
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == plain_text(summary_table(reader)).splitlines()


def test_print_table_has_style_on_a_terminal(reader: RunReader) -> None:
    stream = io.StringIO()
    print_table(reader, Console(file=stream, force_terminal=True, width=40))
    assert "\x1b[1m" in stream.getvalue()


def test_long_table_has_every_count_and_the_other_adcc(reader: RunReader) -> None:
    table = long_table(reader)
    keys = [c.key for c in table.columns]
    assert keys[:5] == ["backbone", "method", "n", "failed", "degenerate"]
    assert keys[-2:] == ["adcc", "mean_image_adcc"]
    assert len(table.blocks[0].rows) == 14
    summaries = {s.cell: s for s in reader.summaries()}
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


def test_a_hostile_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    reader = RunReader(make_run(tmp_path / "a.db", name="\x1b[2Jevil\u202e"))
    text = "".join(span.text for line in table_lines(summary_table(reader)) for span in line)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2Jevil" in text


# -- filter and sort -----------------------------------------------------------------------------------------------------------


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
def test_sort_puts_the_best_first_and_absent_ones_last(reader: RunReader, metric: str, sign: int) -> None:
    table = long_table(reader, Options(sort=metric))
    place = [c.key for c in table.columns].index(metric)
    texts = [row.entries[place].text for row in table.blocks[0].rows]
    assert texts[-1] == "–"
    values = [float(text) for text in texts[:-1]]
    assert values == sorted(values, key=lambda value: -sign * value)


def test_sorting_keeps_blocks_in_the_plans_order(reader: RunReader) -> None:
    table = summary_table(reader, replace(Options(), sort="adcc"))
    assert [block.title.split()[0] for block in table.blocks] == ["resnet18", "vgg16"]
    assert table.blocks[0].rows[-1].entries[0].text == "fakecam"


def test_format_is_light() -> None:
    code = "import sys, camtui.format, camtui.export, camtui.paper, camtui.compare; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())
    assert not loaded & {"torch", "numpy", "textual", "PIL", "pyarrow", "matplotlib", "sqlite_utils", "rich"}
