"""``camtui run``: start a run, or go on with it, and show it until it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from camtui.cli import completion
from camtui.cli.command_decorator import command
from camtui.cli.console import print_message
from camtui.cli.more_images import confirm_more_images
from camtui.cli.options import (
    AllowCodeOption,
    BackbonesOption,
    ComputeOptions,
    MaxFailuresOption,
    OnFinishOption,
    OutputOptions,
)
from camtui.cli.run_start import driver_settings, start_run
from camtui.devices import on_cuda
from camtui.plan_diff import plan_diff
from camtui.planning import CliPlan, default_name, resolve_plan, stored_plan
from camtui.runs import reference, run_path
from camtui.trust import allowed_of
from evaluator import catalog
from evaluator.errors import UsageError
from evaluator.execution.request import RunRequest
from evaluator.plan_changes import extended


class PlanOptions(NamedTuple):
    """What is computed on which images, and kept where."""

    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of class folders, or a flat folder of images.",
            rich_help_panel="Images",
        ),
    ] = None
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="scikit-image's photographs, three EfficientNet-Lites, Table 2 without Score-CAM.",
            rich_help_panel="Images",
        ),
    ] = False
    backbone: BackbonesOption = None
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Repeat, or use commas: camtui methods.",
            autocompletion=completion.methods,
            rich_help_panel="Measurement",
            metavar="LIST",
        ),
    ] = None
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(catalog.optional_metrics())} or all; the others always.",
            autocompletion=completion.optional_metrics,
            rich_help_panel="Measurement",
            metavar="LIST",
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            help="First N images of the seeded order.",
            rich_help_panel="Images",
            metavar="N",
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            help="Of the run; default: the data folder's, so the same command goes on.",
            rich_help_panel="The run's file",
            metavar="NAME",
        ),
    ] = None
    db: Annotated[
        Path | None,
        typer.Option(
            help="The run's file, where it shall not lie with the others.",
            rich_help_panel="The run's file",
            metavar="FILE.db",
        ),
    ] = None
    precision: Annotated[
        str | None,
        typer.Option(
            help="fp32, mixed or bf16.  [default: fp32 on cpu, mixed on cuda]",
            rich_help_panel="Protocol",
            metavar="fp32|mixed|bf16",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of the order of images and of all noise.  [default: 0]",
            rich_help_panel="Protocol",
            metavar="N",
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            help="Class that is explained: predicted or label.  [default: predicted]",
            rich_help_panel="Protocol",
            metavar="predicted|label",
        ),
    ] = None
    resize: Annotated[
        int | None,
        typer.Option(
            help="Short side before the 224 crop: 224 or 256.  [default: 224]",
            rich_help_panel="Protocol",
            metavar="PIXELS",
        ),
    ] = None
    layer: Annotated[
        str | None,
        typer.Option(
            help="Target layer, by dotted name.  [default: the backbone's own]",
            rich_help_panel="Measurement",
            metavar="LAYER",
        ),
    ] = None
    weights: Annotated[
        str | None,
        typer.Option(
            help="FILE.safetensors, FILE.pth or random:SEED.",
            rich_help_panel="Measurement",
            metavar="FILE|random:SEED",
        ),
    ] = None
    classes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Class names of your own network, one a line.  [default: the network's, or "
            "the folders']",
            rich_help_panel="Measurement",
        ),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV of image,label for flat folders.", rich_help_panel="Images"
        ),
    ] = None
    curve_steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of deletion and insertion.  [default: 28]",
            rich_help_panel="Protocol",
            metavar="N",
        ),
    ] = None
    insertion_start: Annotated[
        str | None,
        typer.Option(
            help="zero or blur.  [default: zero]", rich_help_panel="Protocol", metavar="zero|blur"
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Enough images: 'ci<=POINTS' (of ADCC, every cell), decided, or all.",
            rich_help_panel="Images",
        ),
    ] = None
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="With decided: differences that do not matter.  [default: 0.5]",
            rich_help_panel="Images",
        ),
    ] = None
    drop_decided: Annotated[
        bool,
        typer.Option(
            "--drop-decided",
            help="With decided: methods certainly worse are computed no further.",
            rich_help_panel="Images",
        ),
    ] = False
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE.json",
            help="Where the objects are: masks, VOC boxes or a COCO file.",
            rich_help_panel="Images",
        ),
    ] = None
    pointing_margin: Annotated[
        int | None,
        typer.Option(
            help="Around the object, in pointing_game.  [default: 15]",
            rich_help_panel="Protocol",
            metavar="PIXELS",
        ),
    ] = None
    road_removal: Annotated[
        str | None,
        typer.Option(
            help="How ROAD takes pixels out: rank, or released (by percentile).  [default: rank]",
            rich_help_panel="Protocol",
            metavar="rank|released",
        ),
    ] = None
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Every image, where the run that is there has fewer.",
            rich_help_panel="Images",
        ),
    ] = False
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.toml",
            help="A plan; options given here win.",
            rich_help_panel="Measurement",
        ),
    ] = None
    allow_code: AllowCodeOption = False

    def typed(self) -> CliPlan:
        """What makes the plan."""
        values: dict[str, Any] = {
            name: value
            for name, value in self._asdict().items()
            if name not in ("name", "db", "everything")
        }
        for name in ("backbone", "method", "metric"):
            values[f"{name}s"] = tuple(values.pop(name) or ())
        return CliPlan(**values)


@command
def run(
    ctx: typer.Context,
    what: PlanOptions,
    where: ComputeOptions,
    shown: OutputOptions,
    batch_size: Annotated[
        str,
        typer.Option(
            help="Images in one forward, or auto.", rich_help_panel="Compute", metavar="N|auto"
        ),
    ] = "auto",
    max_failures: MaxFailuresOption = "",
    on_finish: OnFinishOption = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the plan and what it costs; compute nothing.",
            rich_help_panel="Output",
        ),
    ] = False,
) -> None:
    """Evaluate CAM methods on images.

    The run continues when the terminal is closed. The same command again goes on where it ended;
    with another method, backbone, metric or more images it computes what is missing only.

    Example: camtui run --data /data/imagenet/val -b resnet50,vgg16 -m gradcam,scorecam
    """
    typed, chosen = what.typed(), where.chosen()
    path = _database(what.db, what.name, typed)
    stored = stored_plan(path)
    plan, named = resolve_plan(typed, stored, cuda=on_cuda(chosen.devices))
    settings = driver_settings(
        chosen, batch_size=_batch_size(batch_size), max_failures=max_failures, on_finish=on_finish
    )
    code = (extended(stored, plan) if stored else plan).code
    allowed = allowed_of(code, "the same command with", allow=typed.allow_code, named=named)
    request = RunRequest(
        db=path,
        name=path.stem,
        plan=plan,
        settings=settings,
        run_reference=reference(path),
        allowed=allowed,
    )
    if dry_run:
        from camtui.cli.dry_run import print_dry_run

        print_dry_run(request, stored, as_json=shown.json)
        return
    plan = confirm_more_images(plan, stored, path, everything=what.everything)
    request = replace(request, plan=plan)
    if typed.demo and not (stored or typed.methods or shown.quiet):
        print_message(
            "Score-CAM (two thousand forwards an image) is added by: camtui run --demo -b "
            "efficientnet_lite0 -m scorecam"
        )
    changes = plan_diff(stored, plan) if stored else []
    if changes and not shown.quiet:
        print_message(f"{reference(path)} is there already: {'; '.join(changes)}")
    start_run(ctx, request, shown)


def _database(db: Path | None, name: str | None, typed: CliPlan) -> Path:
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
