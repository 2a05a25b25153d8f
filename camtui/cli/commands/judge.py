"""``camtui judge``: how well metrics judge explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, stdout_console
from camtui.cli.options import DigitsOption, JsonOption, RunArgument
from camtui.runs import LAST, open_run
from evaluator.errors import UsageError
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from camtui.judging.bootstrap import Estimate
    from camtui.judging.judgement import Judgement, JudgeOptions
    from camtui.payloads import EstimatePayload, JudgementPayload, JudgementsPayload
    from evaluator.store.reader import RunReader

FORMS = ("plain", "md", "latex")


def judged_record(
    reader: RunReader, judged: Sequence[Judgement], options: JudgeOptions
) -> JudgementsPayload:
    """Return plain values, ready for JSON; τ and fractions at full precision."""
    from camtui.export.records import SCHEMA_VERSION, run_record

    return {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(reader),
        "draws": options.draws,
        "seed": options.seed,
        "backbones": [_judgement(one) for one in judged],
    }


def _judgement(one: Judgement) -> JudgementPayload:
    from camtui.judging.judgement import CHANCE

    return {
        "backbone": one.backbone,
        "methods": list(one.methods),
        "controls": list(one.controls),
        "twins": one.twins,
        "lacking": {metric: list(methods) for metric, methods in one.lacking.items()},
        "agreement": [
            {
                "metric": found.metric,
                "truth": found.truth,
                "per_image": _estimate(found.per_image),
                "of_averages": _estimate(found.of_averages),
            }
            for found in one.agreement
        ],
        "control_wins": [
            {
                "metric": won.metric,
                "control": won.control,
                "share": _estimate(won.share),
                "on_average": won.on_average,
                "chance": one.chance_of_control(won.metric),
            }
            for won in one.control_wins
        ],
        "sensitivity": [
            {
                "metric": found.metric,
                "against": found.against,
                "methods": list(found.methods),
                "fall": _estimate(found.fall),
                "noticed": _estimate(found.noticed),
                "chance": CHANCE,
                "null_controls": [
                    {
                        "control": null.control,
                        "fall": _estimate(null.fall),
                        "noticed": _estimate(null.noticed),
                        "excess": _estimate(null.excess),
                    }
                    for null in found.nulls
                ],
            }
            for found in one.sensitivity
        ],
        "stability": [
            {"metric": found.metric, "images": found.images, "tau": _estimate(found.tau)}
            for found in one.stability
        ],
    }


def _estimate(found: Estimate) -> EstimatePayload:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def write_judged(
    stream: TextIO, reader: RunReader, judged: Sequence[Judgement], form: str, digits: int
) -> None:
    """Write the tables as one of ``FORMS``."""
    from camtui.export import provenance
    from camtui.format.judged import judged_tables
    from camtui.format.table import plain_text

    tables = judged_tables(reader, judged, digits)
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
            "--draws", metavar="N", min=20, max=100_000, help="Of the bootstrap over images."
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of the draws.")] = 0,
    digits: DigitsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Judge the metrics of a run by where the objects are known to be.

    For each metric, with 95 % intervals: whether it orders the methods as mass accuracy and rank
    accuracy do (Kendall's tau); how often it puts a control above every method; whether it notices
    maps for the wrong class (-m wrongclass) and of random weights (a further -b
    KEY:weights=random:0); whether two random halves of the images give the same order. From stored
    rows of any run with --truth.

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
        print_json(judged_record(reader, judged, chosen))
    elif form == "table":
        from camtui.format import print_lines, table_lines
        from camtui.format.judged import judged_tables

        for place, table in enumerate(judged_tables(reader, judged, digits)):
            print_lines([*([[]] if place else []), *table_lines(table)], stdout_console())
    else:
        from camtui.export.output import as_text, destination

        with destination(None) as binary, as_text(binary) as stream:
            write_judged(stream, reader, judged, form, digits)
