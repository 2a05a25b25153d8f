"""``camtui run``: start a run, or go on with it, and show it until it ends."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app, grouped, show_all_help
from camtui.cli.console import print_message
from camtui.cli.options import (
    AcceptDataChangesOption,
    AllowCodeOption,
    DryRunOption,
    MaxFailuresOption,
    OnFinishOption,
    OutputOptions,
)
from camtui.cli.run_start import confirm_more_images, driver_settings, show_complete, start_run
from camtui.code_resolver import allowed_of
from camtui.compute import ComputeOptions
from camtui.planning import PlanOptions, default_name, plan_diff, resolve_plan, weights_notes
from camtui.runs import reference, run_path
from evaluator.errors import CamtuiError, UsageError
from evaluator.execution.request import RunRequest, known_run
from evaluator.plan import RunPlan, earlier_choices, extended
from evaluator.text import printable

app = command_app()


class RunCommand(Command):
    """``camtui run``, most of whose options are for few runs."""

    everyday = frozenset(
        [
            *("data", "demo", "limit", "labels", "truth", "until"),
            *("backbones", "methods", "metrics", "weights", "layer", "config", "name"),
            *("precision", "target", "device", "workers", "batch_size"),
            *("detach", "no_watch", "quiet", "dry_run", "json", "help_all", "help"),
        ]
    )


@app.command(cls=RunCommand)
@grouped
def run(
    ctx: typer.Context,
    typed: PlanOptions,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The images, as --data names them.")
    ] = None,
    *,
    allow_code: AllowCodeOption = False,
    accept_data_changes: AcceptDataChangesOption = False,
    compute: ComputeOptions,
    output: OutputOptions,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the run.  [default: that of the data folder]",
            rich_help_panel="Output",
            metavar="NAME",
        ),
    ] = None,
    db: Annotated[
        Path | None,
        typer.Option(
            help="File of the run, where it shall not lie with the others.",
            rich_help_panel="Output",
            metavar="FILE.db",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Measure every image, where the run that is there has fewer.",
            rich_help_panel="Images",
        ),
    ] = False,
    batch_size: Annotated[
        str,
        typer.Option(
            help="Images in one pass, or auto.", rich_help_panel="Compute", metavar="N|auto"
        ),
    ] = "auto",
    max_failures: MaxFailuresOption = "",
    on_finish: OnFinishOption = "",
    dry_run: DryRunOption = False,
    help_all: Annotated[  # noqa: ARG001  it acts in its callback
        bool,
        typer.Option(
            "--help-all",
            callback=show_all_help,
            is_eager=True,
            help="Show every option, also those of the protocol and of clusters.",
        ),
    ] = False,
) -> None:
    """Evaluate CAM methods on images.

    The run goes on when the terminal is closed. The same command again continues it; with another
    method, network, metric or more images it computes only what is missing.

    Example: camtui run /data/imagenet/val -b resnet50,vgg16 -m gradcam,scorecam
    """
    if folder is not None and typed.data is not None:
        raise UsageError(
            f"the images are named twice: {printable(folder)} and --data {printable(typed.data)}",
            f"camtui run {printable(folder)}",
        )
    typed = replace(typed, data=folder or typed.data)
    path, size = _database(db, name, typed), _batch_size(batch_size)
    settings = driver_settings(
        compute, batch_size=size, max_failures=max_failures, on_finish=on_finish
    )
    with _another_name(None if db else path):
        stored = known_run(path)
        before = stored.plan if stored else None
        earlier = stored is not None and stored.begun_earlier
        plan, named, part = resolve_plan(
            typed, before, cuda=settings.on_cuda, allow_code=allow_code, earlier=earlier
        )
        if part and not output.quiet:
            print_message(part)
        code = (extended(before, plan) if before else plan).code
        allowed = allowed_of(code, "the same command with", allow=allow_code, named=named)
        request = RunRequest(
            db=path,
            name=path.stem,
            plan=plan,
            settings=settings,
            run_reference=reference(path),
            allowed=allowed,
            accept_data_changes=accept_data_changes,
        )
        if dry_run:
            from camtui.cli.dry_run import print_dry_run

            print_dry_run(request, stored, as_json=output.json)
            return
        plan = confirm_more_images(plan, stored, path, everything=everything)
        request = replace(request, plan=plan)
        if show_complete(ctx, request, stored, output):
            return
        if not output.quiet:
            _print_changes(typed, plan, before, path)
            for choice in earlier_choices(plan, begun_earlier=True) if earlier else ():
                print_message(f"{reference(path)} goes on as it was begun: {choice}")
        start_run(request, stored, output)


@contextmanager
def _another_name(path: Path | None) -> Iterator[None]:
    """Put a free name into the hint of an error that advises another one; ``None``: leave it."""
    try:
        yield
    except CamtuiError as error:
        if path and error.hint:
            error.hint = error.hint.replace("another --name", f"--name {_free_name(path)}")
        raise


def _free_name(path: Path) -> str:
    """``val2`` beside ``val``."""
    names = (f"{path.stem}{number}" for number in count(2))
    return shlex.quote(next(name for name in names if not run_path(name).exists()))


def _print_changes(typed: PlanOptions, plan: RunPlan, stored: RunPlan | None, path: Path) -> None:
    """Print what a demo leaves out, and what is added to a run that is there already."""
    if typed.demo and not (stored or typed.methods):
        print_message("Score-CAM, slower, too: camtui run --demo -b efficientnet_lite0 -m scorecam")
    for line in weights_notes(plan):
        print_message(line)
    changes = plan_diff(stored, plan) if stored else []
    if changes:
        print_message(f"{reference(path)} is there already: {'; '.join(changes)}")


def _database(db: Path | None, name: str | None, typed: PlanOptions) -> Path:
    if db is None:
        return run_path(name or default_name(typed))
    if db.suffix != ".db":
        raise UsageError(
            f"--db takes a file that ends in .db, not '{db.name}'", f"--db {db.with_suffix('.db')}"
        )
    return db.expanduser().absolute()


def _batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(
            f"--batch-size takes a number from 1 or auto, not '{text}'",
            "leave it out to let it adapt",
        )
    return int(text)
