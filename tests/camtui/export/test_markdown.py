"""Ranks in Markdown."""

from __future__ import annotations

from camtui.export import ExportRequest, table_of
from evaluator.store.reader import RunReader
from tests.camtui.export.support import written


def test_markdown_marks_ranks_by_type(reader: RunReader) -> None:
    text = written(reader, "md").decode()
    table = table_of(reader, ExportRequest("md"))
    entries = [entry for row in table.blocks[0].rows for entry in row.entries]
    best = [entry.text for entry in entries if entry.mark == "best"]
    assert best
    assert all(f"**{value}**" in text for value in best)
    assert all(f"_{entry.text}_" in text for entry in entries if entry.mark == "second")
    ties = [entry for entry in entries if entry.mark == "tie"]
    assert ties
    assert all(" ".join(filter(None, (e.text, e.interval, "="))) in text for e in ties)
    assert all(f"**{e.text}**" not in text for e in ties if e.text not in best)
    assert "bold: best, italics: second" in text
    assert (
        "| Average Drop ↓ | Average Increase ↑ | Deletion ↓ | Insertion ↑ | Coherency ↑ | "
        "Complexity ↓ | ADCC ↑ |" in text
    )
    assert "* best" not in text
    widths = {
        line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")
    }
    assert widths == {10}
