"""``camtui compare``: runs with each other, or a run with the paper."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import (
    print_error,
    print_json,
    print_line,
    print_message,
    stdout_console,
)
from camtui.cli.options import DigitsOption, JsonOption, WideOption
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
from camtui.runs import open_run, run_path
from evaluator import catalog
from evaluator.catalog import known_metrics
from evaluator.errors import NotFound, ThresholdPassed, UsageError
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.compare import ComparedCell, Comparison
    from camtui.format import Table
    from camtui.paper import AgainstPaper, PaperComparison
    from camtui.payloads import PaperCellPayload
    from camtui.schemas import ComparisonsPayload, PaperComparisonPayload
    from evaluator.metrics.base import Metric
    from evaluator.store.reader import RunReader


def comparison_table(comparison: Comparison, digits: int) -> Table:
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


def _cell_row(cell: ComparedCell, digits: int) -> TableRow:
    change = signed_percent(cell.change, digits)
    return TableRow(
        (
            Entry(cell.method),
            Entry(_header(cell.metric)),
            Entry(percent(cell.first, digits)),
            Entry(percent(cell.second, digits)),
            Entry(change, half_width(cell.paired, digits)),
            Entry(count(cell.n)),
            Entry(cell.verdict),
        )
    )


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _header(metric: str) -> str:
    return metric_header(catalog.metric(metric))


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


def _print_claims(found: PaperComparison) -> None:
    """Print the claims of the paper's text, and which of them hold in the run."""
    print("\nWhat the paper claims, here\n")
    for one in found.claims:
        print_line(f"{one.verdict:<12} {one.text}", 13)
        counts = {
            "for": one.holds,
            "against": one.fails,
            "undecided": one.undecided,
            "unmeasured": one.unmeasured,
        }
        told = ", ".join(f"{count(number)} {name}" for name, number in counts.items() if number)
        print_line(f"{'':<12} {told}; {one.printed} of {one.pairs} hold in Table 2", 13)
        for text in one.against:
            print_line(f"{'':<12} against: {printable(text)}", 15)
    print()
    print_line(
        "pairs of methods, on all networks: for and against by the paired t test, 5 % over a "
        "claim's pairs (Holm)"
    )


def print_with_paper(
    reader: RunReader, metrics: list[Metric], *, digits: int, wide: bool = False
) -> None:
    """Print a run beside the paper's Table 2, then the claims of its text."""
    from camtui.paper import compare_with_paper

    found = compare_with_paper(reader, metrics)
    _print_table(paper_table(reader, found, digits), wide=wide)
    _print_claims(found)


app = command_app()


@app.command(cls=Command)
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="The baseline, then the runs to set against it.",
            autocompletion=completion.runs,
        ),
    ],
    paper: Annotated[bool, typer.Option("--paper", help="Against the paper's Table 2.")] = False,
    metric: Annotated[
        list[str],
        typer.Option(
            "--metric",
            metavar="LIST",
            help="Which metrics, or all; with --paper all that both have.",
            autocompletion=completion.metric_lists,
        ),
    ] = [],  # noqa: B006  read only
    fail_on_drop: Annotated[
        float | None,
        typer.Option(
            "--fail-on-drop",
            min=0.0,
            metavar="X",
            help="Exit with 5 if a method is worse by more than X points.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Pair runs of different protocols.")
    ] = False,
    digits: DigitsOption = 2,
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare runs image by image, or a run with the paper.

    Differences are paired over the images that both have, with 95 % intervals; better and worse is
    what the paired t test separates at 5 % over all that are listed (Holm). Rows pair by the
    names of network and method, options included, images by path. Weights may differ (that is what
    is compared) where their files have one name; target, preprocessing, precision, layer and, for
    curves, steps must not. A change is the second run minus the first, in points. With other
    weights the accuracy of both runs is printed, where images have labels.

    Example: camtui compare before after --fail-on-drop 1
    """
    if paper:
        if len(runs) != 1 or fail_on_drop is not None:
            raise UsageError(
                f"--paper takes one run, not {len(runs)}, and no --fail-on-drop",
                "camtui compare RUN --paper",
            )
        reader = open_run(runs[0])
        if as_json:
            print_json(paper_payload(reader, _metrics(metric)))
        else:
            print_with_paper(reader, _metrics(metric), digits=digits, wide=wide)
    elif "paper" in runs[1:] and not run_path("paper").exists():
        raise NotFound(
            "no run 'paper'; the paper's tables are an option",
            f"camtui compare {printable(runs[0], 60)} --paper",
        )
    elif len(runs) < 2:
        raise UsageError(
            "compare takes two runs or more, or one with --paper",
            "camtui compare RUN RUN, or camtui compare RUN --paper",
        )
    else:
        readers = [open_run(run) for run in runs]
        comparisons = _with_each_other(
            readers, _metrics(metric), force=force, digits=digits, wide=wide, as_json=as_json
        )
        _fail_on_drop(comparisons, fail_on_drop)


def _metrics(given: Sequence[str]) -> list[Metric]:
    keys = catalog.split_list(list(given))
    return [catalog.metric(key) for key in (known_metrics() if "all" in keys else keys)]


def _print_table(table: Table, *, wide: bool) -> None:
    from camtui.format import print_lines, screen_lines

    console = stdout_console()
    print_lines(screen_lines(table, console.width, wide=wide, keep="verdict"), console)


def _with_each_other(
    readers: list[RunReader],
    metrics: list[Metric],
    *,
    force: bool,
    digits: int,
    wide: bool,
    as_json: bool,
) -> list[Comparison]:
    """Print the first run against each of the others."""
    from camtui.compare import compare_runs
    from camtui.export import SCHEMA_VERSION

    first = readers[0]
    wanted = metrics or [catalog.metric("adcc")]
    comparisons = [compare_runs(first, other, wanted, force=force) for other in readers[1:]]
    if as_json:
        payload: ComparisonsPayload = {
            "schema_version": SCHEMA_VERSION,
            "comparisons": comparisons,
        }
        print_json(payload)
    else:
        for comparison in comparisons:
            _print_table(comparison_table(comparison, digits), wide=wide)
    sys.stdout.flush()
    return comparisons


def _fail_on_drop(comparisons: list[Comparison], limit: float | None) -> None:
    """End with exit code 5 where a cell is worse by more than a limit, in points."""
    from camtui.format import signed_percent

    if limit is None:
        return
    drops = [drop for comparison in comparisons for drop in comparison.drops(limit / 100)]
    if not drops:
        return
    for drop in drops[1:]:
        print_message(
            f"{drop.backbone}/{drop.method}: {drop.metric} {signed_percent(drop.change)} points"
        )
    worst = drops[0]
    points = f"{worst.metric} is worse by {abs(100 * worst.change):.2f} points, more than {limit:g}"
    print_error(
        ThresholdPassed.kind,
        f"{worst.backbone}/{worst.method}: {points}",
        "camtui worst RUN shows which images",
    )
    raise typer.Exit(ThresholdPassed.exit_code)


def paper_payload(reader: RunReader, metrics: list[Metric]) -> PaperComparisonPayload:
    """Return a run beside the paper's Table 2 as programs read it."""
    from camtui.export import SCHEMA_VERSION
    from camtui.export.records import run_record
    from camtui.paper import compare_with_paper

    found = compare_with_paper(reader, metrics)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(reader),
        "differs_in": list(found.differs_in),
        "deviations": list(found.deviations),
        "open_choices": list(found.open_choices),
        "cells": [paper_record(row) for row in found.rows],
        "claims": list(found.claims),
    }
