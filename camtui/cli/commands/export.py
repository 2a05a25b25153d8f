"""``camtui export``: a run as a file for programs or for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app, grouped
from camtui.cli.console import print_message
from camtui.cli.options import (
    ForceOption,
    RunArgument,
    TableSelection,
    export_request,
    progress_of,
    to_stdout,
)
from camtui.runs import LAST, open_run
from evaluator.errors import UsageError
from evaluator.text import printable

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "md",
    ".tex": "latex",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
}


app = command_app()


@app.command(cls=Command)
@grouped
def export(
    selected: TableSelection,
    run: RunArgument = LAST,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="csv, tsv, md, latex, json, jsonl or parquet; else by -o.",
        ),
    ] = "",
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="A file, or - for standard output."),
    ] = "-",
    per_image: Annotated[
        bool,
        typer.Option(
            "--per-image", help="Write a record per image, network and method, not averages."
        ),
    ] = False,
    maps: Annotated[
        bool,
        typer.Option("--maps", help="The maps of one network and method (--filter), as .npz."),
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="First compare every row with its checksum.")
    ] = False,
    force: ForceOption = False,
) -> None:
    """Write a run for other programs or for a paper.

    csv, tsv, json, jsonl and parquet hold fractions at full precision, empty (null) where
    undefined; md and latex are tables in percent. With -o FILE, data formats also write or extend
    datapackage.json beside it, which explains every column. Names are written with unprintable
    characters escaped; JSON adds image_hex, the bytes, where that changed one. In csv and tsv, text
    beginning with = + - @ gets an apostrophe in front.

    --maps writes an .npz of arrays under the images' paths, height x width in [0, 1].

    Example: camtui export val --per-image -o val.csv
    """
    target = None if output == "-" else Path(output)
    if maps:
        _write_maps(run, selected, target, force=force)
        return
    form = form or (_SUFFIXES.get(target.suffix.lower(), "") if target else "csv")
    if not form:
        raise UsageError(
            f"no format known for '{printable(output)}'",
            f"add -f, one of {', '.join(_SUFFIXES.values())}",
        )
    request = export_request(form, selected, per_image=per_image)
    reader = open_run(run)
    if verify:
        reader.checks.verify()
    if target is None:
        to_stdout(reader, request)
        return
    from camtui.export import export_file

    for file in export_file(reader, request, target, force=force, progress=progress_of(reader)):
        print_message(f"wrote {printable(file)}")


def _write_maps(run: str, selected: TableSelection, target: Path | None, *, force: bool) -> None:
    if target is None or target.suffix.lower() != ".npz":
        raise UsageError("maps are written to a file of numpy", "camtui export RUN --maps -o M.npz")
    from camtui.export.maps import cell_of, write_maps
    from camtui.export.output import destination

    reader = open_run(run)
    cell = cell_of(reader, export_request("csv", selected).options)
    with destination(target, force=force) as stream:
        written = write_maps(reader, cell, stream)
    print_message(f"wrote {written} of {cell.backbone}/{cell.method} to {printable(target)}")
