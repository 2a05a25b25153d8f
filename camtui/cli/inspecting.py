"""``camtui show``, ``errors`` and ``worst``: what a run is, what failed in it, and which images its methods explain worst."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camtui.cli import completing
from camtui.cli.app import JsonOption, RunArgument, app, narrate, open_run, print_json, stdout_console
from evaluator import catalog
from evaluator.errors import NotFound, UsageError
from evaluator.metrics import all_metrics
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from camtui.format import Table
    from evaluator.records import Cell
    from evaluator.store.reader import RunReader

CellOption = Annotated[str, typer.Option("--cell", metavar="B/M", help="One cell, as BACKBONE/METHOD or a unique part of it.")]


@app.command()
def show(
    run: RunArgument = "@last",
    config: Annotated[bool, typer.Option("--config", help="The plan as TOML; camtui run --config takes it back.")] = False,
    env: Annotated[bool, typer.Option("--env", help="Versions and device.")] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Seconds per image of every stage.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What a run is: protocol, weights, versions, timings. With no option all but the plan's TOML.

    Example: camtui show val --config
    """
    from camtui.export.records import SCHEMA_VERSION, run_record

    reader = open_run(run)
    if config and not as_json:
        sys.stdout.write(plan_toml(reader))
        return
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "run": run_record(reader), "timings": list(_timings(reader))})
        return
    parts = [_about(reader)] if not (env or timings) else []
    parts += [_environment(reader)] if env or not timings else []
    parts += [_timing_lines(reader)] if timings or not env else []
    for part in parts:
        sys.stdout.write("".join(f"{printable(line)}\n" for line in part))


def plan_toml(reader: RunReader) -> str:
    """The plan of a run as TOML, without the fields that are unset (TOML has no null)."""
    import tomli_w

    values = _set_fields(reader.plan().to_dict())
    comment = f"# plan of the run {printable(reader.info().name)}; again: camtui run --config FILE --name NEW\n"
    return comment + tomli_w.dumps(values)


def _set_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _set_fields(entry) for key, entry in value.items() if entry is not None}
    return [_set_fields(entry) for entry in value] if isinstance(value, list | tuple) else value


def _about(reader: RunReader) -> Iterator[str]:
    from camtui.export.records import run_record
    from camtui.format.notes import run_title

    run, plan = run_record(reader), reader.plan()
    yield run_title(reader)
    yield f"file        {reader.path}"
    yield f"created     {run['created']}   finished {run['finished'] or '–'}"
    yield f"data        {plan.data}{f', first {plan.limit}' if plan.limit else ''}, order of seed {plan.seed}"
    for name, loaded in run["backbones"].items():
        weights = f"{loaded['weights']} (sha256 {loaded['sha256'][:16]}), layer {loaded['layer']}" if loaded else "not loaded yet"
        yield f"backbone    {name}: {weights}"
    yield f"methods     {', '.join(plan.methods)}"
    yield f"metrics     {', '.join(plan.metrics)}"
    yield f"protocol    target {plan.target}, resize {plan.resize}, precision {plan.precision}"
    if plan.curves:
        yield f"curves      {plan.curve_steps} steps, insertion starts from {plan.insertion_start}"


def _environment(reader: RunReader) -> Iterator[str]:
    for name, value in sorted(reader.info().versions.items()):
        yield f"{name:<11} {value}"


def _timings(reader: RunReader) -> Iterator[dict[str, Any]]:
    for stage in reader.stages():
        each = stage.seconds / stage.timed_images if stage.timed_images else None
        yield {
            "stage": stage.title, "done": stage.done, "images": stage.images, "seconds": stage.seconds,
            "seconds_per_image": each, "forwards_per_image": stage.forwards_per_image,
        }  # fmt: skip


def _timing_lines(reader: RunReader) -> Iterator[str]:
    from camtui.format import ABSENT, count, duration

    for stage in _timings(reader):
        each = ABSENT if stage["seconds_per_image"] is None else f"{1000 * stage['seconds_per_image']:.1f} ms/image"
        done = f"{count(stage['done'])}/{count(stage['images'])}"
        forwards = f"{stage['forwards_per_image']:g} forwards"
        yield f"{stage['stage']:<40} {done:>15}  {each:>16}  {forwards:>14}  {duration(stage['seconds'])}"


# -- failures ------------------------------------------------------------------------------------------------------------------


@app.command()
def errors(
    run: RunArgument = "@last",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many images.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Images without a value, and why: grouped by reason, then one line per image.

    Example: camtui errors val -n 100
    """
    from camtui.export.records import SCHEMA_VERSION

    reader = open_run(run)
    found = list(_failures(reader))
    if as_json:
        print_json(
            {"schema_version": SCHEMA_VERSION, "total": len(found), "truncated": len(found) > limit, "errors": found[:limit]}
        )
        return
    if not found:
        narrate("no failures")
        return
    sys.stdout.write("".join(f"{line}\n" for line in _failure_lines(found, limit)))
    if len(found) > limit:
        narrate(f"{limit} of {len(found)} shown; more: camtui errors {run} -n {len(found)}")


def _failures(reader: RunReader) -> Iterator[dict[str, Any]]:
    """One entry per image, reason and detail, with the cells that lack it."""
    names = {cell.id: f"{cell.backbone}/{cell.method}" for cell in reader.cells()}
    grouped: dict[tuple[int, str, str, str], list[str]] = {}
    for failure in reader.failures():
        key = (failure.image, failure.metric, failure.reason, failure.detail)
        grouped.setdefault(key, []).append(names[failure.cell])
    for (image, metric, reason, detail), cells in grouped.items():
        path = printable(reader.image(image).path)
        yield {
            "image": path, "id": image, "metric": metric or None, "reason": printable(reason), "detail": printable(detail),
            "cells": cells,
        }  # fmt: skip


def _failure_lines(found: list[dict[str, Any]], limit: int) -> Iterator[str]:
    reasons: dict[str, int] = {}
    for failure in found:
        reasons[failure["reason"]] = reasons.get(failure["reason"], 0) + 1
    yield ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items(), key=lambda item: -item[1]))
    for failure in found[:limit]:
        cells = failure["cells"][0] if len(failure["cells"]) == 1 else f"{len(failure['cells'])} cells"
        metric = f" {failure['metric']}" if failure["metric"] else ""
        yield f"{failure['image']}  {failure['reason']}: {failure['detail']}  ({cells}{metric})"


# -- worst images --------------------------------------------------------------------------------------------------------------


@app.command()
def worst(
    run: RunArgument = "@last",
    by: Annotated[
        str, typer.Option("--by", metavar="METRIC", help="The metric to rank by.", autocompletion=completing.metrics)
    ] = "adcc",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many images of each cell.")] = 20,
    best: Annotated[bool, typer.Option("--best", help="The best in place of the worst.")] = False,
    cell: CellOption = "",
    as_json: JsonOption = False,
) -> None:
    """The images that a method explains worst, with what the network saw in them. Without --cell: the cell of best ADCC.

    Example: camtui worst val --by adcc --cell resnet50/gradcam
    """
    metric = catalog.metric(by)
    reader = open_run(run)
    chosen = find_cell(reader, cell) if cell else _leading_cell(reader)
    ascending = (metric.sign > 0) != best
    ranked = reader.ranked(chosen.id, metric.key, ascending=ascending, limit=limit)
    if not ranked:
        raise NotFound(f"{chosen.backbone}/{chosen.method} has no {metric.key} yet", f"camtui table {printable(run)}")
    rows = [_ranked_record(reader, chosen, place, entry.image) for place, entry in enumerate(ranked, 1)]
    if as_json:
        from camtui.export.records import SCHEMA_VERSION

        head = {"schema_version": SCHEMA_VERSION, "backbone": chosen.backbone, "method": chosen.method, "by": metric.key}
        print_json({**head, "best": best, "images": rows})
        return
    from camtui.format import print_lines, table_lines

    print_lines(table_lines(_ranked_table(reader, chosen, rows, metric.key, best)), stdout_console())


def find_cell(reader: RunReader, text: str) -> Cell:
    """The cell that ``BACKBONE/METHOD`` or a unique part of it means.

    Raises:
        NotFound: none, or more than one.
    """
    cells = {f"{cell.backbone}/{cell.method}": cell for cell in reader.cells()}
    if text in cells:
        return cells[text]
    near = [name for name in cells if text.lower() in name.lower()]
    if len(near) == 1:
        return cells[near[0]]
    if near:
        raise UsageError(f"{len(near)} cells match '{printable(text, 60)}'", f"one of {', '.join(near[:6])}")
    raise NotFound(f"no cell '{printable(text, 60)}'", f"{did_you_mean(text, cells)}the run has {', '.join(list(cells)[:6])}")


def _leading_cell(reader: RunReader) -> Cell:
    from camtui.format import cell_views

    views = [view for view in cell_views(reader) if view.mean("adcc") is not None]
    if not views:
        raise NotFound("the run has no finished image yet", "camtui status RUN")
    return max(views, key=lambda view: view.summary.means["adcc"].value).cell


def _ranked_record(reader: RunReader, cell: Cell, place: int, image: int) -> dict[str, Any]:
    ref, row = reader.image(image), reader.row(cell.id, image)
    assert row is not None, "a ranked image has a row"
    curves = {name: found.value for name, found in reader.measurements(cell.id, image).items()}
    values = {key: getattr(row, key) for key in catalog.ROW_METRICS} | curves
    classes = _classes(reader, cell.backbone)
    return {
        "place": place, "image": printable(ref.path), "id": ref.id, "label": ref.label, "label_name": _name(classes, ref.label),
        "predicted": row.predicted, "predicted_name": _name(classes, row.predicted), "target": row.target,
        "target_name": _name(classes, row.target), "y": row.y, "o": row.o, **values, "degenerate": row.degenerate,
    }  # fmt: skip


def _classes(reader: RunReader, backbone: str) -> tuple[str, ...]:
    loaded = reader.backbones().get(backbone)
    return loaded.classes if loaded else ()


def _name(classes: tuple[str, ...], index: int | None) -> str | None:
    return None if index is None else printable(classes[index], 40) if 0 <= index < len(classes) else str(index)


def _ranked_table(reader: RunReader, cell: Cell, rows: list[dict[str, Any]], by: str, best: bool) -> Table:
    from camtui.format import Block, Column, Entry, Table, TableRow, metric_header, percent
    from camtui.format.notes import run_title

    metrics = [metric for key, metric in all_metrics().items() if any(row.get(key) is not None for row in rows)]
    columns = [Column("place", "#", "#"), *(Column(metric.key, metric_header(metric), metric.title) for metric in metrics)]
    columns = [
        Column("image", "image", "Image", numeric=False),
        Column("class", "true → predicted", "Class", numeric=False),
        *columns,
    ]
    columns.insert(3, Column("confidence", "y→o", "Confidence"))
    body = [
        TableRow((
            Entry(printable(row["image"], 44)), Entry(_class_words(row)), Entry(str(row["place"])),
            Entry(f"{row['y']:.2f}→{row['o']:.2f}"), *(Entry(percent(row.get(metric.key))) for metric in metrics),
        ))
        for row in rows
    ]  # fmt: skip
    title = f"{run_title(reader)} · {cell.backbone}/{cell.method} · {'best' if best else 'worst'} by {by}"
    degenerate = [f"degenerate (the map is all zero): {sum(row['degenerate'] for row in rows)} of these"]
    return Table(
        title, tuple(columns), (Block("", tuple(body)),), tuple(degenerate if any(r["degenerate"] for r in rows) else [])
    )


def _class_words(row: dict[str, Any]) -> str:
    seen = printable(row["predicted_name"], 18)
    true = printable(row["label_name"] or "?", 18)
    return seen if row["label_name"] == row["predicted_name"] else f"{true} → {seen}"
