"""Exports of how metrics judge: JSON, plain text, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from camtui.export import provenance
from camtui.export.records import SCHEMA_VERSION, run_record
from camtui.format.judged import judged_tables
from camtui.format.plain import plain_text

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
