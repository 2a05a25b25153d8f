"""Exports of a run in all forms, with one entry for ``table``, ``export`` and the dashboard.

``records``   plain values at full precision  ·  ``delimited`` ``jsonfile`` ``parquet``  write those
``markdown`` ``latex``  write the tables of ``camtui.format``  ·  ``output``  where it goes  ·
``datapackage``  description beside a file
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO

from camtui.export import delimited, jsonfile
from camtui.export.datapackage import describe
from camtui.export.output import as_text, check_free, destination, is_stream
from camtui.export.records import (
    SCHEMA_VERSION,
    Record,
    cell_record,
    flat_record,
    group_record,
    image_fields,
    image_records,
    run_record,
    summary_fields,
)
from camtui.format.cells import CellView, shown_metrics
from camtui.format.groups import By, grouped
from camtui.format.notes import choice_text
from camtui.format.table import (
    DEFAULTS,
    Table,
    TableOptions,
    chosen_views,
    grouped_table,
    long_table,
    pivot_table,
    plain_text,
    summary_table,
)
from evaluator.errors import UsageError
from evaluator.metrics.base import Metric
from evaluator.plan import earlier_choices
from evaluator.text import did_you_mean

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

TEXT_FORMATS = ("plain", "md", "latex")
"""For people: percent, rounded to ``--digits``."""

DATA_FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
"""For programs: fractions at full precision."""

Progress = Callable[[int], None]
"""Told how many per-image rows have been written."""


@dataclass(frozen=True)
class ExportRequest:
    """A form, a layout and options of an export.

    Attributes:
        form: one of the formats.
        layout: ``blocks`` (one per backbone), ``long``, or ``pivot:METRIC``, of text formats.
        per_image: one record per image and cell in place of averages.
        options: digits, intervals, filter, sort.
        by: averages of groups of images: ``class`` or ``correct``; empty for those of cells.
    """

    form: str
    layout: str = "blocks"
    per_image: bool = False
    options: TableOptions = DEFAULTS
    by: By | Literal[""] = ""


def check(request: ExportRequest) -> None:
    """Refuse a request that makes no sense.

    Raises:
        UsageError: unknown format, or averages where rows were asked for.
    """
    known = (*TEXT_FORMATS, *DATA_FORMATS)
    if request.form not in known:
        raise UsageError(
            f"unknown format '{request.form}'",
            f"{did_you_mean(request.form, known)}known: {', '.join(known)}",
        )
    if request.per_image and request.form in TEXT_FORMATS:
        raise UsageError(
            f"{request.form} has no per-image form", "camtui export RUN --per-image -f csv"
        )
    if request.layout.startswith("pivot:") and request.form in DATA_FORMATS:
        raise UsageError(
            f"{request.form} carries every metric; --pivot shapes tables only",
            "add -f plain, md or latex",
        )
    if request.by and (request.per_image or request.layout != "blocks"):
        raise UsageError("--by is a layout of its own", "leave --per-image, --long and --pivot out")
    if not 0 <= request.options.digits <= 12:
        raise UsageError(
            f"--digits takes 0 to 12, not {request.options.digits}", "--digits 2 is the paper's"
        )


def export_file(
    reader: RunReader,
    request: ExportRequest,
    target: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a file, and for data formats its description beside it; returns what was written.

    Raises:
        UsageError: the file exists and ``force`` is off, or the request makes no sense.
    """
    check(request)
    check_free(target, force=force)
    with destination(target, force=force) as stream:
        write(reader, request, stream, progress)
    if request.form in TEXT_FORMATS or is_stream(target):
        return [target]
    description = describe(target, request.form, _fields(reader, request), run_record(reader))
    return [target, description] if description else [target]


def write(
    reader: RunReader, request: ExportRequest, stream: BinaryIO, progress: Progress | None = None
) -> None:
    """Write a run in some form to a binary stream.

    Raises:
        UsageError: the request makes no sense.
        NotFound: the filter leaves nothing.
    """
    check(request)
    if request.form == "parquet":
        from camtui.export.parquet import write_parquet

        records = _records(reader, request, flat_record, progress)
        write_parquet(stream, _fields(reader, request), records, json.dumps(run_record(reader)))
        return
    with as_text(stream) as text:
        if request.form in TEXT_FORMATS:
            write_tables(text, reader, [table_of(reader, request)], request.form)
        elif request.form in ("csv", "tsv"):
            records = _records(reader, request, flat_record, progress)
            sign = "," if request.form == "csv" else "\t"
            delimited.write_delimited(text, _fields(reader, request), records, sign)
        else:
            _write_json(reader, request, text, progress)


def table_of(reader: RunReader, request: ExportRequest) -> Table:
    """Return the table of a request for a text format."""
    if request.by:
        return grouped_table(reader, request.by, request.options)
    if request.layout.startswith("pivot:"):
        return pivot_table(reader, request.layout.removeprefix("pivot:"), request.options)
    return (
        long_table(reader, request.options)
        if request.layout == "long"
        else summary_table(reader, request.options)
    )


def write_tables(stream: TextIO, reader: RunReader, tables: Sequence[Table], form: str) -> None:
    """Write tables of a run as one of ``TEXT_FORMATS``, one after the other."""
    if form == "latex":
        from camtui.export.latex import write_latex

        write_latex(stream, tables, provenance(reader))
        return
    for place, table in enumerate(tables):
        stream.write("\n" if place else "")
        if form == "md":
            from camtui.export.markdown import write_markdown

            write_markdown(stream, table)
        else:
            stream.write(plain_text(table))


def provenance(reader: RunReader) -> Iterator[str]:
    """Yield run, images, weights, protocol and versions, a line each."""
    run, plan = run_record(reader), reader.plan()
    yield (
        f"camtui run '{run['name']}', {run['images']} images, "
        f"{run['state']}, created {run['created']}"
    )
    for name, loaded in reader.backbones().items():
        if loaded:
            seen = loaded.preprocessing
            yield (
                f"{name}: weights {loaded.weights} (sha256 {loaded.sha256[:16]}), layer "
                f"{loaded.layer}, input {seen.side} x {seen.side}, resized to {seen.resize} "
                f"({seen.interpolation})"
            )
    yield (
        f"protocol: target {plan.target}, {choice_text(plan, 'resize')}, seed "
        f"{plan.seed}, precision {plan.precision}"
    )
    yield from (f"{heading}: {note}" for heading, note in plan.notes().items())
    yield from earlier_choices(plan, begun_earlier=reader.keeps_earlier_words())
    yield "versions: " + ", ".join(
        f"{name} {value}" for name, value in sorted(run["versions"].items())
    )


def _fields(reader: RunReader, request: ExportRequest) -> list[str]:
    metrics = shown_metrics(reader)
    return image_fields(metrics) if request.per_image else summary_fields(metrics, request.by)


def _records(
    reader: RunReader,
    request: ExportRequest,
    of: Callable[[CellView, Sequence[Metric], Record | None], Record],
    progress: Progress | None,
) -> Iterator[Record]:
    """Return one record for each image and cell, or ``of`` each cell or group of its images."""
    metrics = shown_metrics(reader)
    views = chosen_views(reader, metrics, replace(request.options, ranks=False))
    if request.per_image:
        return _counted(image_records(reader, views, metrics), progress)
    if request.by:
        by = request.by
        groups = grouped(reader, views, by)
        return (of(one.view, metrics, group_record(one, by)) for one in groups)
    return (of(view, metrics, None) for view in views)


def _write_json(
    reader: RunReader, request: ExportRequest, stream: TextIO, progress: Progress | None
) -> None:
    records = _records(reader, request, cell_record, progress)
    if request.form == "jsonl":
        jsonfile.write_lines(stream, records)
        return
    head = {"schema_version": SCHEMA_VERSION, "run": run_record(reader)}
    if request.per_image:
        jsonfile.write_records(stream, head, "images", records)
    else:
        jsonfile.write_document(stream, {**head, "cells": list(records)})


def _counted(
    records: Iterator[Record], progress: Progress | None, every: int = 10_000
) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        yield record
        if progress and number % every == 0:
            progress(number)


__all__ = [
    "DATA_FORMATS",
    "SCHEMA_VERSION",
    "TEXT_FORMATS",
    "ExportRequest",
    "check",
    "export_file",
    "provenance",
    "table_of",
    "write",
    "write_tables",
]
