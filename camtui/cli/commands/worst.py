"""``camtui worst``: the images that a method explains worst."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, stdout_console
from camtui.cli.options import JsonOption, RunArgument, WideOption
from camtui.runs import LAST, open_run
from evaluator import catalog
from evaluator.catalog import known_metrics
from evaluator.errors import NotFound
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from camtui.format import Table
    from camtui.payloads import WorstImagePayload, WorstPayload
    from evaluator.records import Cell
    from evaluator.store.reader import RunReader


app = command_app()


@app.command(cls=Command)
def worst(
    run: RunArgument = LAST,
    which: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK:METHOD",
            help="Whose images, or a part that only one has.  [default: the one of best ADCC]",
        ),
    ] = "",
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="METRIC",
            help="The metric to rank by.",
            autocompletion=completion.metrics,
        ),
    ] = "adcc",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many images.")
    ] = 20,
    best: Annotated[bool, typer.Option("--best", help="The best in place of the worst.")] = False,
    cell: Annotated[
        str,
        typer.Option(
            "--cell", metavar="B/M", hidden=True, help="As earlier versions had NETWORK:METHOD."
        ),
    ] = "",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the images that a method explains worst.

    With what the network saw in them. Columns that do not fit the terminal are left out, and named.

    Example: camtui worst val resnet50:gradcam --by adcc
    """
    reader = open_run(run)
    metric = catalog.metric(by)
    from camtui.format.select import find_cell

    chosen = find_cell(reader, which or cell) if which or cell else _leading_cell(reader)
    ascending = metric.is_ascending(worst_first=not best)
    ranked = reader.ranking.page(chosen.id, metric.key, ascending=ascending, limit=limit)
    if not ranked:
        raise NotFound(
            f"{chosen.backbone}/{chosen.method} has no {metric.key}"
            f"{_why_none(reader, chosen, metric.key)}",
            f"camtui table {printable(run)}",
        )
    rows: list[WorstImagePayload] = [
        _ranked_record(reader, chosen, place, entry.image) for place, entry in enumerate(ranked, 1)
    ]
    if as_json:
        from camtui.export.records import SCHEMA_VERSION

        payload: WorstPayload = {
            "schema_version": SCHEMA_VERSION,
            "backbone": chosen.backbone,
            "method": chosen.method,
            "by": metric.key,
            "best": best,
            "images": rows,
        }
        print_json(payload)
        return
    from camtui.format import print_lines, screen_lines

    console = stdout_console()
    table = _ranked_table(reader, chosen, rows, metric.key, best, 1000 if wide else console.width)
    print_lines(screen_lines(table, console.width, wide=wide, keep=metric.key), console)


def _why_none(reader: RunReader, cell: Cell, metric: str) -> str:
    from camtui.format.notes import NO_MAPS, UNDEFINED

    if catalog.lacks_maps(cell.method, metric):
        return f": {NO_MAPS}"
    if metric in _BY_DROP and any(cell.id == of for of, _ in reader.rows.undefined()):
        return f", {UNDEFINED}"
    failed = reader.lacking().get((cell.id, metric), {})
    reasons = ", ".join(f"{printable(reason)} {n}" for reason, n in failed.items())
    return f": {reasons}" if reasons else " yet"


_BY_DROP = ("average_drop", "adcc")
"""What is undefined where the confidence y is 0."""


def _leading_cell(reader: RunReader) -> Cell:
    from camtui.format.table import finished_views

    views = finished_views(reader, otherwise="camtui worst RUN NETWORK:METHOD --by coherency")
    return max(views, key=lambda view: view.summary.means["adcc"].value).cell


def _ranked_record(reader: RunReader, cell: Cell, place: int, image: int) -> WorstImagePayload:
    ref, row = reader.images.get(image), reader.rows.get(cell.id, image)
    assert row is not None, "a ranked image has a row"
    curves = {name: found.value for name, found in reader.rows.measurements(cell.id, image).items()}
    values = {key: getattr(row, key) for key in catalog.ROW_METRICS} | curves
    from camtui.format.groups import class_name

    loaded = reader.backbones().get(cell.backbone)
    name = partial(class_name, loaded.classes if loaded else (), before="")
    record = {
        "place": place,
        "image": printable(ref.path),
        "id": ref.id,
        "label": ref.label,
        "label_name": None if ref.label is None else name(ref.label),
        "predicted": row.predicted,
        "predicted_name": name(row.predicted),
        "target": row.target,
        "target_name": name(row.target),
        "y": row.y,
        "o": row.o,
        **values,
        "degenerate": row.degenerate,
    }
    return cast("WorstImagePayload", record)


def _ranked_table(
    reader: RunReader,
    cell: Cell,
    rows: list[WorstImagePayload],
    by: str,
    best: bool,
    width: int,
) -> Table:
    """The images and their values; names are shortened to what ``width`` leaves for them."""
    from camtui.format import Block, Entry, Table, TableColumn, TableRow, metric_header, percent
    from camtui.format.notes import UNDEFINED, run_title

    metrics = [
        metric
        for key, metric in known_metrics().items()
        if any(row.get(key) is not None for row in rows) or (rows and key in _BY_DROP)
    ]
    columns = [
        TableColumn("place", "#", "#"),
        *(TableColumn(metric.key, metric_header(metric), metric.title) for metric in metrics),
    ]
    columns = [
        TableColumn("image", "image", "Image", numeric=False),
        TableColumn("class", "true → predicted", "Class", numeric=False),
        *columns,
    ]
    columns.insert(3, TableColumn("confidence", "conf→masked", "Confidence"))
    room = max(40, width - 26)
    classes = [_class_words(row, min(18, room // 4)) for row in rows]
    body = [
        TableRow(
            (
                Entry(_end_of(printable(row["image"]), room - max(map(len, classes)))),
                Entry(words),
                Entry(str(row["place"])),
                Entry(f"{row['y']:.2f}→{row['o']:.2f}"),
                *(Entry(percent(_value(row, metric.key))) for metric in metrics),
            )
        )
        for row, words in zip(rows, classes, strict=True)
    ]
    title = (
        f"{run_title(reader)} · {cell.backbone}/{cell.method} · "
        f"{'best' if best else 'worst'} by {by}"
    )
    degenerate = sum(row["degenerate"] for row in rows)
    notes = [f"degenerate (the map is all zero): {degenerate} of these"] if degenerate else []
    undefined = sum(of == cell.id for of, _ in reader.rows.undefined())
    if undefined:
        notes.append(f"average drop and ADCC of {counted(undefined, 'image')} are {UNDEFINED}")
    return Table(title, tuple(columns), (Block("", tuple(body)),), tuple(notes))


def _value(row: WorstImagePayload, metric: str) -> float | None:
    return cast("float | None", row.get(metric))


def _end_of(path: str, room: int) -> str:
    """A path of which the end is the most telling."""
    room = min(max(room, 16), 44)
    return path if len(path) <= room else f"…{path[1 - room :]}"


def _class_words(row: WorstImagePayload, room: int) -> str:
    seen = printable(row["predicted_name"], room)
    true = printable(row["label_name"] or "?", room)
    return seen if row["label_name"] == row["predicted_name"] else f"{true} → {seen}"
