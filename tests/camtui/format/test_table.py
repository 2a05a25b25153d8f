"""Tables: whose numbers, in which order."""

from __future__ import annotations

import pytest

from camtui.format import (
    TableOptions,
    long_table,
    percent,
    pivot_table,
    summary_table,
)
from evaluator.errors import UsageError
from evaluator.metrics import all_metrics
from evaluator.store.reader import RunReader


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
