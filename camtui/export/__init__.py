"""Exports of a run in all forms, with one entry for ``table``, ``export`` and the dashboard.

``records``   plain values at full precision  ·  ``delimited`` ``jsonfile`` ``parquet``  write those
``markdown`` ``latex``  write the tables of ``camtui.format``  ·  ``output``  where it goes  ·
``datapackage``  description beside a file
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO

from camtui.export import delimited, jsonfile
from camtui.export.datapackage import describe
from camtui.export.output import as_text, check_free, destination
from camtui.export.records import (
    SCHEMA_VERSION,
    Record,
    cell_record,
    flat_record,
    group_record,
    image_fields,
    image_records,
    run_record,
    summary,
    summary_fields,
)
from camtui.format.cells import shown_metrics
from camtui.format.groups import By, grouped
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
    if request.form in TEXT_FORMATS:
        return [target]
    metrics = shown_metrics(reader)
    fields = image_fields(metrics) if request.per_image else summary_fields(metrics, request.by)
    description = describe(target, request.form, fields, run_record(reader))
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

        fields, records = _columns(reader, request, progress)
        write_parquet(stream, fields, records, json.dumps(run_record(reader)))
        return
    with as_text(stream) as text:
        if request.form in TEXT_FORMATS:
            _write_table(reader, request, text)
        elif request.form in ("csv", "tsv"):
            delimited.write_delimited(
                text, *_columns(reader, request, progress), "," if request.form == "csv" else "\t"
            )
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


def _write_table(reader: RunReader, request: ExportRequest, stream: TextIO) -> None:
    table = table_of(reader, request)
    if request.form == "plain":
        stream.write(plain_text(table))
    elif request.form == "md":
        from camtui.export.markdown import write_markdown

        write_markdown(stream, table)
    else:
        from camtui.export.latex import write_latex

        write_latex(stream, [table], provenance(reader))


def provenance(reader: RunReader) -> Iterator[str]:
    """Yield run, images, weights, protocol and versions, a line each."""
    run, plan = run_record(reader), reader.plan()
    yield (
        f"camtui run '{run['name']}', {run['images']} images, "
        f"{run['state']}, created {run['created']}"
    )
    for name, loaded in run["backbones"].items():
        if loaded:
            yield (
                f"{name}: weights {loaded['weights']} (sha256 {loaded['sha256'][:16]}), "
                f"layer {loaded['layer']}"
            )
    yield (
        f"protocol: target {plan.target}, resize {plan.resize}, seed "
        f"{plan.seed}, precision {plan.precision}"
    )
    yield from (f"{heading}: {note}" for heading, note in plan.notes().items())
    yield from earlier_choices(plan, begun_earlier=reader.keeps_earlier_words())
    yield "versions: " + ", ".join(
        f"{name} {value}" for name, value in sorted(run["versions"].items())
    )


def _columns(
    reader: RunReader, request: ExportRequest, progress: Progress | None
) -> tuple[list[str], Iterator[Record]]:
    metrics = shown_metrics(reader)
    views = chosen_views(reader, metrics, replace(request.options, ranks=False))
    if request.per_image:
        return image_fields(metrics), _counted(image_records(reader, views, metrics), progress)
    if request.by:
        by = request.by
        groups = grouped(reader, views, by)
        return summary_fields(metrics, by), (
            flat_record(one.view, metrics, group_record(one, by)) for one in groups
        )
    return summary_fields(metrics), (flat_record(view, metrics) for view in views)


def _write_json(
    reader: RunReader, request: ExportRequest, stream: TextIO, progress: Progress | None
) -> None:
    metrics = shown_metrics(reader)
    views = chosen_views(reader, metrics, replace(request.options, ranks=False))
    if not request.per_image:
        cells = [cell_record(view, metrics) for view in views]
        if request.by:
            groups = grouped(reader, views, request.by)
            cells = [
                cell_record(group.view, metrics, group_record(group, request.by))
                for group in groups
            ]
        if request.form == "json":
            jsonfile.write_document(stream, summary(reader, cells))
        else:
            jsonfile.write_lines(stream, cells)
        return
    records = _counted(image_records(reader, views, metrics), progress)
    if request.form == "jsonl":
        jsonfile.write_lines(stream, records)
    else:
        jsonfile.write_records(
            stream, {"schema_version": SCHEMA_VERSION, "run": run_record(reader)}, "images", records
        )


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
]
