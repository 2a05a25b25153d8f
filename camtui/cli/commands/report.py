"""``camtui report``: one self-contained page about a run, or over several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.cli.options import ForceOption, NamedDataOption
from camtui.runs import name_folder, open_run
from evaluator.errors import UsageError
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import VerifyPayload
    from evaluator.store.reader import RunReader

app = command_app()


@app.command(cls=Command)
def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="One run, or several of one protocol, or of several protocols.",
            autocompletion=completion.runs,
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The page, an .html file.")
    ],
    images: Annotated[
        int,
        typer.Option(
            "--images",
            "--worst",
            metavar="N",
            min=0,
            help="So many of the best, typical and worst images of each network's best method.",
        ),
    ] = 2,
    charts: Annotated[
        bool, typer.Option("--charts/--no-charts", help="Charts need matplotlib.")
    ] = True,
    verified: Annotated[
        list[Path] | None,
        typer.Option(
            "--verified",
            metavar="FILE",
            help="What camtui verify --json printed of a run; repeat.",
        ),
    ] = None,
    force: ForceOption = False,
    data: NamedDataOption = None,
) -> None:
    """Write one self-contained page about a run, or over several.

    The answer first: the best method of each network, by how much, and whether that is certain.
    Then ranks, tables, charts, best, typical and worst images, failures, and what makes it again.

    Several runs of the same images: of one protocol, their networks and methods as one ranking; of
    several protocols, which orders survive them, as camtui ranks. Others are refused by what
    differs. The page says which runs were verified (--verified).

    Example: camtui report val -o val.html
    """
    from camtui.export.output import as_text, check_free, destination
    from camtui.export.records import plan_toml
    from camtui.figures.report import ReportOptions, write_report

    name_folder(data)
    target = Path(output)
    check_free(target, force=force)
    readers = [open_run(run) for run in runs]
    checked = _checked(readers, verified or [])
    with destination(target, force=force) as binary, as_text(binary) as stream:
        if len(readers) > 1:
            from camtui.figures.together import write_together

            missing = write_together(stream, readers, checked, charts=charts)
        else:
            told = checked[0] if verified else ""
            contents = ReportOptions(images, charts, told)
            missing = write_report(stream, readers[0], plan_toml(readers[0]), contents)
    for line in missing:
        print_message(f"left out: {line}")
    print_message(f"wrote {printable(target)}")


def _checked(readers: Sequence[RunReader], files: Sequence[Path]) -> list[str]:
    """Return what documents of ``camtui verify --json`` say of each run.

    Raises:
        UsageError: a file is none, or of none of these runs.
    """
    if not files:
        return ["unverified"] * len(readers)
    from camtui.bundle import fingerprint

    marks = [fingerprint(reader).sha256 for reader in readers]
    told: dict[str, list[str]] = {}
    for file in files:
        found = _document(file)
        if found["fingerprint"] not in marks:
            raise UsageError(
                f"{printable(file)} is of none of these runs, or of an earlier state of one",
                "camtui verify RUN --json > FILE",
            )
        words = "not what was made"
        if found["verified"]:
            words = "hashes and sums only"
            if found["drawn"]:
                words = f"{found['agreed']} of {found['drawn']} rows computed again agree"
        told.setdefault(found["fingerprint"], []).append(f"{words} ({printable(file.name)})")
    return ["; ".join(told.get(mark, ["unverified"])) for mark in marks]


def _document(file: Path) -> VerifyPayload:
    """Return what a file of ``camtui verify --json`` holds."""
    try:
        found = json.loads(file.read_text("utf-8"))
        if {"fingerprint", "verified", "drawn", "agreed"} <= found.keys():
            return cast("VerifyPayload", found)
    except OSError as error:
        raise UsageError(
            f"cannot read {printable(file)}: {error.strerror}", "camtui verify RUN --json > FILE"
        ) from error
    except (ValueError, AttributeError):
        pass
    raise UsageError(
        f"{printable(file)} is not what camtui verify --json prints",
        "camtui verify RUN --json > FILE",
    )
