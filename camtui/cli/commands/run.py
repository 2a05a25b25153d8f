"""``camtui run``: start a run, or go on with it, and show it until it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.cli.more_images import confirm_more_images
from camtui.cli.options import (
    AllowCodeOption,
    BackbonesOption,
    ComputeOptions,
    DetachOption,
    DeviceOption,
    ExecutorOption,
    ForegroundOption,
    GpusPerWorkerOption,
    JsonOption,
    MaxFailuresOption,
    NoWatchOption,
    OnFinishOption,
    OutputOptions,
    QuietOption,
    RayAddressOption,
    WorkersOption,
)
from camtui.cli.run_options import (
    AllImagesOption,
    ClassesOption,
    ConfigOption,
    CurveStepsOption,
    DataFolderOption,
    DemoOption,
    DropDecidedOption,
    InsertionStartOption,
    LabelsOption,
    LayerOption,
    LimitOption,
    MarginOption,
    MethodsOption,
    MetricsOption,
    PointingMarginOption,
    PrecisionOption,
    ResizeOption,
    RoadNoiseOption,
    RoadRemovalOption,
    RunFileOption,
    RunNameOption,
    SeedOption,
    SideOption,
    TargetOption,
    TruthOption,
    UntilOption,
    WeightsOption,
)
from camtui.cli.run_start import driver_settings, start_run
from camtui.devices import on_cuda
from camtui.plan_diff import plan_diff
from camtui.planning import CliPlan, begun_earlier, default_name, resolve_plan, stored_plan
from camtui.runs import reference, run_path
from camtui.trust import allowed_of
from evaluator.errors import UsageError
from evaluator.execution.request import RunRequest
from evaluator.plan import RunPlan
from evaluator.plan_changes import earlier_choices, extended

app = command_app()


@app.command(cls=Command)
def run(
    ctx: typer.Context,
    data: DataFolderOption = None,
    demo: DemoOption = False,
    backbone: BackbonesOption = None,
    method: MethodsOption = None,
    metric: MetricsOption = None,
    limit: LimitOption = None,
    name: RunNameOption = None,
    db: RunFileOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    target: TargetOption = None,
    resize: ResizeOption = None,
    side: SideOption = None,
    layer: LayerOption = None,
    weights: WeightsOption = None,
    classes: ClassesOption = None,
    labels: LabelsOption = None,
    curve_steps: CurveStepsOption = None,
    insertion_start: InsertionStartOption = None,
    until: UntilOption = None,
    margin: MarginOption = None,
    drop_decided: DropDecidedOption = False,
    truth: TruthOption = None,
    pointing_margin: PointingMarginOption = None,
    road_removal: RoadRemovalOption = None,
    road_noise: RoadNoiseOption = None,
    everything: AllImagesOption = False,
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    device: DeviceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    ray_address: RayAddressOption = None,
    gpus_per_worker: GpusPerWorkerOption = None,
    detach: DetachOption = False,
    foreground: ForegroundOption = False,
    no_watch: NoWatchOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
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
    typed = CliPlan(
        data=data,
        demo=demo,
        backbones=tuple(backbone or ()),
        methods=tuple(method or ()),
        metrics=tuple(metric or ()),
        config=config,
        limit=limit,
        labels=labels,
        seed=seed,
        target=target,
        resize=resize,
        side=side,
        layer=layer,
        weights=weights,
        classes=classes,
        precision=precision,
        curve_steps=curve_steps,
        insertion_start=insertion_start,
        truth=truth,
        pointing_margin=pointing_margin,
        road_removal=road_removal,
        road_noise=road_noise,
        until=until,
        margin=margin,
        drop_decided=drop_decided,
        allow_code=allow_code,
    )
    path = _database(db, name, typed)
    stored = stored_plan(path)
    earlier = stored is not None and begun_earlier(path)
    compute = ComputeOptions(device, workers, executor, ray_address, gpus_per_worker).settings()
    settings = driver_settings(
        compute,
        batch_size=_batch_size(batch_size),
        max_failures=max_failures,
        on_finish=on_finish,
    )
    plan, named = resolve_plan(typed, stored, cuda=on_cuda(compute.devices), earlier=earlier)
    code = (extended(stored, plan) if stored else plan).code
    allowed = allowed_of(code, "the same command with", allow=allow_code, named=named)
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

        print_dry_run(request, stored, as_json=json)
        return
    plan = confirm_more_images(plan, stored, path, everything=everything)
    if not quiet:
        _print_changes(typed, plan, stored, path)
        for choice in earlier_choices(plan, begun_earlier=True) if earlier else ():
            print_message(f"{reference(path)} goes on as it was begun: {choice}")
    output = OutputOptions(
        detach=detach, foreground=foreground, no_watch=no_watch, quiet=quiet, json=json
    )
    start_run(ctx, replace(request, plan=plan), output)


def _print_changes(typed: CliPlan, plan: RunPlan, stored: RunPlan | None, path: Path) -> None:
    """Print what a demo leaves out, and what is added to a run that is there already."""
    if typed.demo and not (stored or typed.methods):
        print_message(
            "Score-CAM (two thousand forwards an image) is added by: camtui run --demo -b "
            "efficientnet_lite0 -m scorecam"
        )
    changes = plan_diff(stored, plan) if stored else []
    if changes:
        print_message(f"{reference(path)} is there already: {'; '.join(changes)}")


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
