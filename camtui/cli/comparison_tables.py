"""Comparisons of runs, with each other or with the paper, as tables and as records for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camtui.format import (
    Block,
    Entry,
    Table,
    TableColumn,
    TableRow,
    count,
    half_width,
    metric_header,
    percent,
    signed_percent,
)
from camtui.format.notes import run_title
from evaluator import catalog

if TYPE_CHECKING:
    from camtui.compare import CellDifference, RunComparison
    from camtui.paper import AgainstPaper, PaperComparison
    from camtui.payloads import ComparisonPayload, PaperCellPayload
    from evaluator.store.reader import RunReader


def comparison_table(comparison: RunComparison, digits: int) -> Table:
    """Return a comparison as a table, a block for each backbone."""
    columns = (
        TableColumn("method", "method", "Method", numeric=False),
        TableColumn("metric", "metric", "Metric", numeric=False),
        TableColumn("first", _short(comparison.first), "First"),
        TableColumn("second", _short(comparison.second), "Second"),
        TableColumn("change", "change", "Change"),
        TableColumn("n", "n", "n"),
        TableColumn("verdict", "verdict", "Verdict"),
    )
    blocks = []
    for backbone in dict.fromkeys(cell.backbone for cell in comparison.cells):
        cells = [cell for cell in comparison.cells if cell.backbone == backbone]
        blocks.append(Block(backbone, tuple(_cell_row(cell, digits) for cell in cells)))
    notes = ["change: second minus first over the n common images", comparison.test]
    for name, only in (
        (comparison.first, comparison.only_first),
        (comparison.second, comparison.only_second),
    ):
        notes += [f"only in {name}: {', '.join(only)}"] if only else []
    return Table(
        f"{comparison.first} → {comparison.second}",
        columns,
        tuple(blocks),
        (*notes, *comparison.notes),
    )


def _cell_row(cell: CellDifference, digits: int) -> TableRow:
    change = signed_percent(cell.change.value, digits)
    return TableRow(
        (
            Entry(cell.method),
            Entry(_header(cell.metric)),
            Entry(percent(cell.first, digits)),
            Entry(percent(cell.second, digits)),
            Entry(change, half_width(cell.change, digits)),
            Entry(count(cell.change.n)),
            Entry(cell.verdict),
        )
    )


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _header(metric: str) -> str:
    return metric_header(catalog.metric(metric))


def comparison_record(comparison: RunComparison) -> ComparisonPayload:
    """Return a comparison as programs read it."""
    return {
        "first": comparison.first,
        "second": comparison.second,
        "only_first": list(comparison.only_first),
        "only_second": list(comparison.only_second),
        "notes": list(comparison.notes),
        "cells": [
            {
                "backbone": cell.backbone,
                "method": cell.method,
                "metric": cell.metric,
                "n": cell.change.n,
                "first": cell.first,
                "second": cell.second,
                "change": cell.change.value,
                "se": cell.change.se,
                "verdict": cell.verdict,
            }
            for cell in comparison.cells
        ],
    }


def paper_record(row: AgainstPaper) -> PaperCellPayload:
    """Return a cell beside the paper's as programs read it."""
    return {
        "backbone": row.backbone,
        "method": row.method,
        "metric": row.metric,
        "ours": {"mean": row.ours.value, "se": row.ours.se, "n": row.ours.n},
        "paper": row.theirs,
        "difference": row.difference,
        "within_interval": row.within,
    }


def paper_table(reader: RunReader, found: PaperComparison, digits: int) -> Table:
    """Return a run beside the paper's Table 2 as a table, a block for each backbone."""
    names = [TableColumn(key, key, key.capitalize(), numeric=False) for key in ("method", "metric")]
    numbers = [
        TableColumn(key, key, key.capitalize())
        for key in ("n", "ours", "paper", "difference", "within")
    ]
    verdict = {True: "yes", False: "no", None: "–"}
    blocks = []
    other = dict(found.other_weights)
    for backbone in dict.fromkeys(row.backbone for row in found.rows):
        weights = f" (weights {other[backbone]}: not the paper's)" if backbone in other else ""
        rows = [
            TableRow(
                (
                    Entry(row.method),
                    Entry(_header(row.metric)),
                    Entry(count(row.ours.n)),
                    Entry(percent(row.ours.value, digits), half_width(row.ours, digits)),
                    Entry(percent(row.theirs)),
                    Entry(signed_percent(row.difference, digits)),
                    Entry(verdict[row.within]),
                )
            )
            for row in found.rows
            if row.backbone == backbone
        ]
        blocks.append(Block(f"{backbone}{weights}", tuple(rows)))
    notes = [
        "within: the paper's number lies in our 95 % interval (sampling of images only; "
        "choices of the protocol are not in it)"
    ]
    if found.deviations:
        notes += [
            "this run is not the paper's protocol:",
            *(f"  {text}" for text in found.deviations),
        ]
    notes += ["choices that the paper leaves open:", *(f"  {text}" for text in found.open_choices)]
    heading = f"{run_title(reader)} · beside Table 2 of the paper"
    if found.differs_in:
        heading += f" · not the paper's {', '.join(found.differs_in)}"
    return Table(
        heading,
        (*names, *numbers),
        tuple(blocks),
        tuple(notes),
    )
