"""How metrics judge, in the forms it leaves camtui in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from camtui.export import provenance
from camtui.export.records import SCHEMA_VERSION, Record, run_record
from camtui.format.judged import judged_tables
from camtui.format.plain import plain_text

if TYPE_CHECKING:
    from camtui.judging.judgement import Judgement, JudgeOptions
    from evaluator.store.reader import RunReader

FORMS = ("plain", "md", "latex")


def judged_record(reader: RunReader, judged: Sequence[Judgement], chosen: JudgeOptions) -> Record:
    """Plain values, ready for JSON; τ and fractions at full precision."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(reader),
        "draws": chosen.draws,
        "seed": chosen.seed,
    }
    return {**head, "backbones": [asdict(one) for one in judged]}


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
