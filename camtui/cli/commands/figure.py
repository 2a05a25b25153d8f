"""``camtui figure``: a chart of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.cli.options import ForceOption, RunArgument
from camtui.runs import open_run
from evaluator.catalog import curve_metrics
from evaluator.errors import UsageError
from evaluator.text import printable

_CHARTS = ("convergence", "components", "ranks")
"""And every curve metric; ``figures.charts`` draws them, a test holds the two together."""


app = command_app()


@app.command(cls=Command)
def figure(
    run: RunArgument,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help=f"{', '.join(_CHARTS)} or {' or '.join(curve_metrics())}."
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="PNG, SVG or PDF, by its name.")
    ],
    force: ForceOption = False,
) -> None:
    """Draw a chart of a run, a panel per network. Needs matplotlib: pip install "camtui[figures]".

    Example: camtui figure val convergence -o convergence.pdf
    """
    from camtui.export.output import check_free, destination

    target = Path(output)
    form = target.suffix.lower().removeprefix(".")
    if form not in ("png", "svg", "pdf"):
        raise UsageError(
            f"no chart format known for '{printable(target.name, 60)}'",
            "-o FILE.png, FILE.svg or FILE.pdf",
        )
    check_free(target, force=force)
    from camtui.figures.charts import chart, save

    drawing = chart(open_run(run), kind)
    with destination(target, force=force) as stream:
        save(drawing, stream, form)
    print_message(f"wrote {printable(target)}")
