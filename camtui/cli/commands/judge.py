"""``camtui judge``: how well metrics judge explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, stdout_console
from camtui.cli.options import DigitsOption, JsonOption, RunArgument, WideOption
from camtui.runs import LAST, open_run
from evaluator.errors import UsageError
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from camtui.schemas import JudgementsPayload

FORMS = ("plain", "md", "latex")


app = command_app()


@app.command(cls=Command)
def judge(
    run: RunArgument = LAST,
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="table, plain, md or latex.")
    ] = "table",
    draws: Annotated[
        int,
        typer.Option(
            "--draws", metavar="N", min=20, max=100_000, help="Draws of the bootstrap over images."
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Seed of the draws.")] = 0,
    digits: DigitsOption = 2,
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge a run's metrics by where the objects are known to be.

    For each metric, with 95 % intervals: whether it orders the methods as mass accuracy and rank
    accuracy do (Kendall's tau); how often it puts a control above every method; whether it notices
    maps for the wrong class (-m wrongclass) and of random weights (a further -b
    KEY:weights=random:0); whether two random halves of the images give the same order. From stored
    rows of any run with --truth; --wide and other formats have all tables.

    Example: camtui judge shapes -f latex
    """
    from camtui.judging.judgement import JudgeOptions
    from camtui.judging.judgement import judge as judge_run

    known = ("table", *FORMS)
    if form not in known:
        raise UsageError(
            f"unknown format '{printable(form, 40)}'",
            f"{did_you_mean(form, known)}camtui judge RUN -f {' or '.join(known)}",
        )
    reader, chosen = open_run(run), JudgeOptions(draws=draws, seed=seed)
    judged = judge_run(reader, chosen)
    if as_json:
        from camtui.export.records import SCHEMA_VERSION, run_record

        payload: JudgementsPayload = {
            "schema_version": SCHEMA_VERSION,
            "run": run_record(reader),
            "draws": draws,
            "seed": seed,
            "backbones": judged,
        }
        print_json(payload)
        return
    from camtui.format.judged import judged_tables, verdict_table, verdicts

    if form == "table":
        from camtui.format import print_lines, screen_lines

        console = stdout_console()
        tables = [verdict_table(reader, judged, digits)]
        tables += judged_tables(reader, judged, digits) if wide else []
        said = ["", *verdicts(judged)]
        for table in tables:
            print_lines([*screen_lines(table, console.width, said=said, wide=wide), []], console)
            said = []
    else:
        from camtui.export import write_tables
        from camtui.export.output import as_text, destination

        with destination(None) as binary, as_text(binary) as stream:
            write_tables(stream, reader, judged_tables(reader, judged, digits), form)
