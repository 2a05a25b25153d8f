"""Averages by class and by correctness are those of the rows that they say, the headlines'
included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from camtui.format.cells import cell_views
from camtui.format.groups import Group, grouped
from camtui.format.table import TableOptions, grouped_table
from evaluator.records import Measurement, Row, UnitResult
from evaluator.statistics import ARCC, harmonic_adcc
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import manifest, plan, row

LABELS = (3, 4, 3, None)


def predicted(cell: int, image: int, index: int, drop: float | None = 0.25) -> Row:
    return row(cell, image, drop=drop)._replace(predicted=index)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[RunReader]:
    """Four images of two cells: right, wrong, wrong and without a drop, unknown; ROAD and ARCC of
    the first two.
    """
    writer = RunWriter(tmp_path / "run.db")
    writer.begin("small", plan(metrics=["deletion", "arcc"]), manifest(labels=LABELS))
    for cell in (1, 2):
        rows = (
            predicted(cell, 0, 3),
            predicted(cell, 1, 3, 0.1),
            predicted(cell, 2, 5, None),
            predicted(cell, 3, 3),
        )
        measured = [
            Measurement(cell, image, "road", value) for image, value in ((0, 0.3), (1, -0.1))
        ]
        measured += [Measurement(cell, image, "arcc", 0.5) for image in (0, 1)]
        writer.rows.commit(UnitResult(rows, tuple(measured)))
    writer.close()
    with RunReader(tmp_path / "run.db") as opened:
        yield opened


def of_first_cell(reader: RunReader, by: str) -> dict[str, Group]:
    return {
        group.name: group
        for group in grouped(
            reader, cell_views(reader)[:1], "class" if by == "class" else "correct"
        )
    }


def test_right_wrong_and_unknown(reader: RunReader) -> None:
    groups = of_first_cell(reader, "correct")
    assert {name: (group.correct, group.view.summary.n) for name, group in groups.items()} == {
        "right": (True, 1),
        "wrong": (False, 2),
        "label unknown": (None, 1),
    }
    assert list(groups) == ["right", "wrong", "label unknown"]
    first = reader.rows.get(1, 0)
    assert first is not None
    right = groups["right"].view
    adcc = right.mean("adcc")
    assert adcc is not None
    assert first.coherency is not None
    assert adcc.value == pytest.approx(harmonic_adcc(0.25, first.coherency, first.complexity))
    assert not right.partial
    wrong = groups["wrong"].view
    assert (wrong.mean("adcc").n, wrong.mean("coherency").n) == (1, 2)  # type: ignore[union-attr]
    assert wrong.mean("arcc").value == 0.0  # type: ignore[union-attr]
    assert right.mean("arcc").value == pytest.approx(  # type: ignore[union-attr]
        ARCC.of_images(
            [{"coherency": first.coherency or 0, "complexity": first.complexity, "road": 0.3}]
        )
    )


def test_classes_by_index_and_the_unknown_last(reader: RunReader) -> None:
    groups = of_first_cell(reader, "class")
    assert [(group.name, group.index, group.view.summary.n) for group in groups.values()] == [
        ("class 3", 3, 2),
        ("class 4", 4, 1),
        ("label unknown", None, 1),
    ]


def test_together_they_are_the_cell(reader: RunReader) -> None:
    whole = {summary.cell: summary for summary in reader.averages.summaries()}
    for by in ("class", "correct"):
        groups = of_first_cell(reader, by).values()
        assert sum(group.view.summary.n for group in groups) == whole[1].n
        total = sum(
            mean.value * mean.n for group in groups if (mean := group.view.mean("coherency"))
        )
        assert total / whole[1].n == pytest.approx(whole[1].means["coherency"].value)


def test_a_table_has_every_method_in_every_group(reader: RunReader) -> None:
    (block,) = grouped_table(reader, "correct").blocks
    names = [
        (entries[0].text, entries[1].text) for entries in (line.entries for line in block.rows)
    ]
    assert names == [
        (group, method)
        for group in ("right", "wrong", "label unknown")
        for method in ("gradcam", "fakecam")
    ]
    (block,) = grouped_table(
        reader, "class", TableOptions(filter="gradcam", sort="average_drop")
    ).blocks
    assert [line.entries[0].text for line in block.rows] == ["class 4", "class 3", "label unknown"]
