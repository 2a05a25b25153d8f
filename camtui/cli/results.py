"""``camtui table`` and ``export``. ``compare`` stands in ``comparing``; ``show``, ``errors`` and ``worst`` in ``inspecting``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camtui.cli import comparing, completing, inspecting, publishing  # noqa: F401  they add their commands
from camtui.cli.app import RunArgument, app, narrate, open_run, stdout_console
from evaluator.errors import UsageError
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.export import Progress, Request
    from camtui.format import Options
    from evaluator.store.reader import RunReader

FilterOption = Annotated[str, typer.Option("--filter", metavar="EXPR", help="Only these cells: 'backbone=resnet*, adcc>70'.")]
SortOption = Annotated[
    str, typer.Option("--sort", metavar="METRIC", help="Best first, by this metric.", autocompletion=completing.metrics)
]
DigitsOption = Annotated[int, typer.Option("--digits", min=0, max=12, help="Behind the point, in table, md and latex.")]
CiOption = Annotated[bool, typer.Option("--ci", help="Half of the 95 % interval for every metric, not for ADCC only.")]
PivotOption = Annotated[
    str, typer.Option("--pivot", metavar="METRIC", help="Methods × backbones in one metric.", autocompletion=completing.metrics)
]
LongOption = Annotated[bool, typer.Option("--long", help="One row per cell, with mean image ADCC and counts.")]

_ALIASES = {"markdown": "md", "tex": "latex", "text": "plain", "txt": "plain"}
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "md",
    ".tex": "latex",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
}


@app.command()
def table(
    run: RunArgument = "@last",
    pivot: PivotOption = "",
    long: LongOption = False,
    filter_: FilterOption = "",
    sort: SortOption = "",
    form: Annotated[str, typer.Option("--format", "-f", help="table, plain, md, json, csv, tsv or latex.")] = "table",
    digits: DigitsOption = 2,
    ci: CiOption = False,
) -> None:
    """Averages of a run: metrics in percent, in the paper's order, one block per backbone.

    ADCC is the harmonic mean of the averaged components, as in the paper's tables. * marks the best of a backbone, = what ties
    with it by a paired test, ~ a cell that has not seen every image. Fake-CAM, a control, takes no part in the ranks. json, csv
    and tsv carry fractions at full precision.

    Example: camtui table val --sort adcc --ci
    """
    request = _request("plain" if form == "table" else form, _layout(pivot, long), _options(digits, ci, filter_, sort))
    reader = open_run(run)
    if form == "table":
        from camtui.export import check, table_of
        from camtui.format import print_lines, table_lines

        check(request)
        print_lines(table_lines(table_of(reader, request)), stdout_console())
    else:
        _to_stdout(reader, request)


@app.command()
def export(
    run: RunArgument = "@last",
    form: Annotated[str, typer.Option("--format", "-f", help="csv, tsv, md, latex, json, jsonl or parquet; else by -o.")] = "",
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="A file, or - for standard output.")] = "-",
    per_image: Annotated[bool, typer.Option("--per-image", help="One record per image and cell, not averages.")] = False,
    pivot: PivotOption = "",
    long: LongOption = False,
    filter_: FilterOption = "",
    sort: SortOption = "",
    digits: DigitsOption = 2,
    ci: CiOption = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
) -> None:
    """Write a run for other programs or for a paper.

    csv, tsv, json, jsonl and parquet hold fractions at full precision, empty (null) where undefined; md and latex are tables
    in percent. With -o FILE, data formats also write or extend datapackage.json beside it, which explains every column. Names
    are written with unprintable characters escaped; JSON adds image_hex, the bytes, where that changed one. In csv and tsv,
    text beginning with = + - @ gets an apostrophe in front.

    Example: camtui export val --per-image -o val.csv
    """
    target = None if output == "-" else Path(output)
    form = form or (_SUFFIXES.get(target.suffix.lower(), "") if target else "csv")
    if not form:
        raise UsageError(f"no format known for '{printable(output)}'", f"add -f, one of {', '.join(_SUFFIXES.values())}")
    request = _request(form, _layout(pivot, long), _options(digits, ci, filter_, sort), per_image=per_image)
    reader = open_run(run)
    if target is None:
        _to_stdout(reader, request)
        return
    from camtui.export import export_file

    for file in export_file(reader, request, target, force=force, progress=_progress(reader)):
        narrate(f"wrote {printable(file)}")


def _options(digits: int, ci: bool, filter_: str, sort: str) -> Options:
    from camtui.format import Options
    from evaluator import catalog

    if sort and sort != "mean_image_adcc":
        catalog.metric(sort)
    return Options(digits=digits, ci=ci, filter=filter_, sort=sort)


def _layout(pivot: str, long: bool) -> str:
    if pivot and long:
        raise UsageError("--pivot and --long are two layouts", "give one of them")
    return f"pivot:{pivot}" if pivot else "long" if long else "blocks"


def _request(form: str, layout: str, options: Options, *, per_image: bool = False) -> Request:
    from camtui.export import Request

    return Request(_ALIASES.get(form, form), layout, per_image, options)


def _to_stdout(reader: RunReader, request: Request) -> None:
    from camtui.export import write
    from camtui.export.output import destination

    if request.form == "parquet" and sys.stdout.isatty():
        raise UsageError("parquet is binary", "add -o FILE.parquet")
    with destination(None) as stream:
        write(reader, request, stream, _progress(reader))


def _progress(reader: RunReader) -> Progress:
    """Says on standard error, every few seconds, how far a long export has come."""
    from time import monotonic

    from camtui.format import count

    total = sum(summary.n for summary in reader.summaries())
    last = monotonic()

    def tell(rows: int) -> None:
        nonlocal last
        if monotonic() - last >= 2:
            last = monotonic()
            narrate(f"{count(rows)} of {count(total)} rows")

    return tell
