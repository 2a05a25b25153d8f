"""``camtui run``: start a run, or go on with it, and show it until it ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camtui.asking import Typed, default_name, make_plan, stored_plan
from camtui.cli import completing
from camtui.cli.app import app, has_screen, narrate, print_json, run_command, stdout_console
from camtui.devices import on_cuda
from camtui.executors import AddressOption, Chosen, ExecutorOption, GpusOption, RayOptions, choose
from camtui.runs import reference, run_path, sizes_file
from evaluator import catalog
from evaluator.errors import CamtuiError, UsageError
from evaluator.execution.request import DriverSettings, RunRequest

if TYPE_CHECKING:
    from camtui.launch import Handoff


@app.command()
def run(
    ctx: typer.Context,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of class folders, or a flat folder of images.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="scikit-image's photographs, EfficientNet-Lite0, the Table 2 methods.")
    ] = False,
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="Repeat, or use commas: camtui backbones.", autocompletion=completing.backbones),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Repeat, or use commas: camtui methods.", autocompletion=completing.methods),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help=f"{', '.join(catalog.curve_metrics())} or all; the others always.",
            autocompletion=completing.requested_metrics,
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", help="First N images of the seeded order.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the run; default: the data folder's, so the same command goes on.")] = None,
    db: Annotated[Path | None, typer.Option(help="The run's file, where it shall not lie with the others.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda (all), cuda:0,cuda:2.  [default: cuda where there is one]")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.  [default: one on each device]")] = None,
    executor: ExecutorOption = "local",
    ray_address: AddressOption = None,
    gpus_per_worker: GpusOption = None,
    precision: Annotated[str | None, typer.Option(help="fp32, mixed or bf16.  [default: fp32 on cpu, mixed on cuda]")] = None,
    batch_size: Annotated[str, typer.Option(help="Images in one forward, or auto.")] = "auto",
    seed: Annotated[int | None, typer.Option(help="Of the order of images and of all noise.  [default: 0]")] = None,
    target: Annotated[str | None, typer.Option(help="Class that is explained: predicted or label.  [default: predicted]")] = None,
    resize: Annotated[int | None, typer.Option(help="Short side before the 224 crop: 224 or 256.  [default: 224]")] = None,
    layer: Annotated[str | None, typer.Option(help="Target layer, by dotted name.  [default: the backbone's own]")] = None,
    weights: Annotated[str | None, typer.Option(help="FILE.safetensors, FILE.pth or random:SEED.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV of image,label for flat folders.")] = None,
    curve_steps: Annotated[int | None, typer.Option(help="Steps of deletion and insertion.  [default: 28]")] = None,
    insertion_start: Annotated[str | None, typer.Option(help="zero or blur.  [default: zero]")] = None,
    config: Annotated[Path | None, typer.Option(metavar="PLAN.toml", help="A plan; options given here win.")] = None,
    max_failures: Annotated[str, typer.Option(metavar="N|P%", help="Stop, with exit code 5, above so many failures.")] = "",
    on_finish: Annotated[str, typer.Option(metavar="CMD", help="Gets a JSON document when the run ends or crashes.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and what it costs; compute nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return as soon as the run is under way.")] = False,
    foreground: Annotated[bool, typer.Option("--foreground", "-F", help="Run in this process: for Slurm and systemd.")] = False,
    no_watch: Annotated[bool, typer.Option("--no-watch", help="Plain lines instead of the dashboard.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No narration, only the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Evaluate CAM methods on images.

    The run continues when the terminal is closed. The same command again goes on where it ended; with another method,
    backbone, metric or more images it computes what is missing only.

    Example: camtui run --data /data/imagenet/val -b resnet50,vgg16 -m gradcam,scorecam
    """
    typed = Typed(
        data=data, demo=demo, backbones=tuple(backbone or ()), methods=tuple(method or ()), metrics=tuple(metric or ()),
        config=config, limit=limit, labels=labels, seed=seed, target=target, resize=resize, layer=layer, weights=weights,
        precision=precision, curve_steps=curve_steps, insertion_start=insertion_start,
    )  # fmt: skip
    chosen = choose(device, workers, RayOptions(executor, ray_address, gpus_per_worker))
    path = _database(db, name, typed)
    plan = make_plan(typed, stored_plan(path), cuda=on_cuda(chosen.devices))
    settings = DriverSettings(
        devices=chosen.devices,
        ray=chosen.ray,
        tuning=sizes_file(),
        batch_size=_batch_size(batch_size),
        max_failures=max_failures,
        on_finish=on_finish,
        **_test_settings(),
    )
    settings.check()
    request = RunRequest(db=path, name=path.stem, plan=plan, settings=settings, word=reference(path))
    if dry_run:
        from camtui.cli.dryrun import rehearse

        rehearse(request, as_json=json)
    else:
        begin(ctx, request, detach=detach, foreground=foreground, watch=not no_watch, quiet=quiet, as_json=json)


def _database(db: Path | None, name: str | None, typed: Typed) -> Path:
    if db is None:
        return run_path(name or default_name(typed))
    if db.suffix != ".db":
        raise UsageError(f"--db takes a file that ends in .db, not '{db.name}'", f"--db {db.with_suffix('.db')}")
    return db.expanduser().absolute()


def _batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch-size takes a number from 1 or auto, not '{text}'", "leave it out to let it adapt")
    return int(text)


def _test_settings() -> dict[str, Any]:
    """What tests change about a driver, from ``$CAMTUI_DRIVER`` (JSON): another evaluator, shorter limits."""
    from json import loads
    from os import environ

    values: dict[str, Any] = loads(environ.get("CAMTUI_DRIVER", "{}"))
    return values


def begin(
    ctx: typer.Context,
    request: RunRequest,
    *,
    detach: bool = False,
    foreground: bool = False,
    watch: bool = True,
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Start the driver of a request, and show its run as was asked for; ends with the run's exit code."""
    warning = _check_images(request)
    if foreground:
        raise typer.Exit(_in_foreground(request, as_json=as_json))
    from camtui.launch import launch, logind_warning

    for line in filter(None, (warning, logind_warning())):
        if not quiet:
            narrate(f"warning: {line}")
    handoff = launch(request)
    if detach:
        _say_detached(handoff, as_json=as_json)
    elif watch and not as_json and has_screen():
        run_command(ctx, "watch", str(request.db))
    else:
        raise typer.Exit(_follow(handoff, quiet=quiet, as_json=as_json))


def resuming(
    path: Path, chosen: Chosen, *, max_failures: str = "", on_finish: str = "", retry_failed: bool = False
) -> RunRequest:
    """The request to go on with a stored run, on what has been chosen for it."""
    settings = DriverSettings(
        devices=chosen.devices, ray=chosen.ray, tuning=sizes_file(), max_failures=max_failures, on_finish=on_finish,
        **_test_settings(),
    )  # fmt: skip
    settings.check()
    return RunRequest(db=path, name=path.stem, plan=None, settings=settings, retry_failed=retry_failed, word=reference(path))


def _check_images(request: RunRequest) -> str:
    """What is wrong with the folder or the labels is said before any process is started; returns what to warn of."""
    from evaluator.images import find_images

    plan = request.plan
    if plan is None:
        return ""
    labels = Path(plan.labels) if plan.labels else None
    return find_images(Path(plan.data), seed=plan.seed, limit=plan.limit, labels=labels, demo=plan.demo).warning()


def _in_foreground(request: RunRequest, *, as_json: bool) -> int:
    from camtui.launch import as_error
    from evaluator.execution.driver import carry_out

    problem: list[CamtuiError] = []

    def announce(line: dict[str, Any]) -> None:
        if "error" in line:
            problem.append(as_error(line["error"]))
        elif as_json:
            print_json(line)

    code = carry_out(request, announce)
    if problem:
        raise problem[0]
    if not as_json:
        _print_table(request.db)
    return code


def _say_detached(handoff: Handoff, *, as_json: bool) -> None:
    run = reference(handoff.db)
    if as_json:
        print_json(_as_dict(handoff))
    else:
        narrate(f"{handoff.name} is running, pid {handoff.pid}: camtui watch {run}, camtui stop {run}")


def _as_dict(handoff: Handoff) -> dict[str, Any]:
    return {
        "run": handoff.name, "pid": handoff.pid, "db": str(handoff.db), "log": str(handoff.log),
        "watch": f"camtui watch {reference(handoff.db)}",
    }  # fmt: skip


def _follow(handoff: Handoff, *, quiet: bool, as_json: bool) -> int:
    from camtui.cli.narrating import follow

    run = reference(handoff.db)
    if as_json:
        print_json(_as_dict(handoff))
    try:
        status = follow(handoff.db, quiet=quiet)
    except KeyboardInterrupt:
        narrate(f"the run goes on: camtui watch {run}; to end it: camtui stop {run}")
        return 130
    if as_json:
        from camtui.cli.control import status_json

        print_json(status_json(status))
    else:
        _print_table(handoff.db)
    if status.state != "complete":
        narrate(f"hint:  {status.advice}")
    return status.exit_code


def _print_table(path: Path) -> None:
    from camtui.format import print_table
    from evaluator.store.reader import RunReader

    with RunReader(path) as reader:
        print_table(reader, stdout_console())
