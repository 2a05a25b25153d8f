"""``camtui errors``: the images without a value, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line, print_message
from camtui.cli.options import JsonOption, RunArgument
from camtui.runs import open_run
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from camtui.payloads import FailurePayload, FailuresPayload, UndefinedPayload
    from evaluator.store.reader import RunReader


app = command_app()


@app.command(cls=Command)
def errors(
    run: RunArgument = "@last",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="At most so many images.")
    ] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the images without a value, and why.

    Grouped by reason, then one line per image. Rows whose confidence y is 0 are no failures, but
    have neither average drop nor ADCC: they are named behind.

    Example: camtui errors val -n 100
    """
    from camtui.export.records import SCHEMA_VERSION

    reader = open_run(run)
    found, undefined = list(_failures(reader)), list(_undefined(reader))
    if as_json:
        payload: FailuresPayload = {
            "schema_version": SCHEMA_VERSION,
            "total": len(found),
            "truncated": len(found) > limit,
            "errors": found[:limit],
            "undefined": undefined[:limit],
        }
        print_json(payload)
        return
    if not found:
        print_message("no failures")
    else:
        for line in _failure_lines(found, limit):
            print_line(line, 2)
    if len(found) > limit:
        print_message(f"{limit} of {len(found)} shown; more: camtui errors {run} -n {len(found)}")
    for line in _undefined_lines(undefined, limit):
        print_message(line)


def _failures(reader: RunReader) -> Iterator[FailurePayload]:
    """One entry per image, reason and detail, with the cells that lack it."""
    names = {cell.id: f"{cell.backbone}/{cell.method}" for cell in reader.cells()}
    grouped: dict[tuple[int, str, str, str], list[str]] = {}
    for failure in reader.failures():
        key = (failure.image, failure.metric, failure.reason, failure.detail)
        grouped.setdefault(key, []).append(names[failure.cell])
    for (image, metric, reason, detail), cells in grouped.items():
        path = printable(reader.images.get(image).path)
        yield {
            "image": path,
            "id": image,
            "metric": metric or None,
            "reason": printable(reason),
            "detail": printable(detail),
            "cells": cells,
        }


def _undefined(reader: RunReader) -> Iterator[UndefinedPayload]:
    """One entry per image without drop and ADCC, with the cells in which it has none."""
    names = {cell.id: f"{cell.backbone}/{cell.method}" for cell in reader.cells()}
    cells: dict[int, list[str]] = {}
    for cell, image in reader.rows.undefined():
        cells.setdefault(image, []).append(names[cell])
    for image, of in sorted(cells.items()):
        yield {"image": printable(reader.images.get(image).path), "id": image, "cells": of}


def _undefined_lines(found: list[UndefinedPayload], limit: int) -> Iterator[str]:
    from camtui.format.notes import UNDEFINED

    if found:
        yield f"average drop and ADCC of {counted(len(found), 'image')} {UNDEFINED}"
    for one in found[:limit]:
        yield f"{one['image']}  ({_which(one['cells'])})"


def _failure_lines(found: list[FailurePayload], limit: int) -> Iterator[str]:
    reasons: dict[str, int] = {}
    for failure in found:
        reasons[failure["reason"]] = reasons.get(failure["reason"], 0) + 1
    yield ", ".join(
        f"{reason} {n}" for reason, n in sorted(reasons.items(), key=lambda item: -item[1])
    )
    for failure in found[:limit]:
        metric = f" {failure['metric']}" if failure["metric"] else ""
        where = f"({_which(failure['cells'])}{metric})"
        yield f"{failure['image']}  {failure['reason']}: {failure['detail']}  {where}"


def _which(cells: Sequence[str]) -> str:
    return cells[0] if len(cells) == 1 else f"{len(cells)} network × method"
