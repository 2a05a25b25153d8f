"""``camtui reproduce``: a paper's table, measured, and its numbers beside ours."""

from __future__ import annotations

import tomllib
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camtui import completion
from camtui.cli.command import Command, command_app, grouped
from camtui.cli.console import print_json, print_message
from camtui.cli.options import DryRunOption, MaxFailuresOption, OnFinishOption, OutputOptions
from camtui.cli.run_start import driver_settings, start_run
from camtui.compute import ComputeOptions
from camtui.planning import PlanOptions, missing_weights, resolve_plan
from camtui.runs import name_for, open_run, reference, run_path
from evaluator import catalog
from evaluator.backbones import known_backbone, torch_checkpoints
from evaluator.errors import BackboneUnavailable, NotFound, UsageError
from evaluator.execution.request import RunRequest, known_run
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from evaluator.execution.request import StoredRun
    from evaluator.plan import RunPlan

PAPERS = ("poppi2021",)
"""Plans that camtui brings along, each ``camtui/data/NAME.toml``."""

_PUBLISHED = "https://download.pytorch.org/models/"

app = command_app()


@app.command(cls=Command)
@grouped
def reproduce(
    paper: Annotated[
        str, typer.Argument(metavar="PAPER", help=f"Which table: {', '.join(PAPERS)}.")
    ],
    *,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="IMAGENET",
            help="The validation set of ILSVRC2012, in class folders or flat.",
            rich_help_panel="Images",
        ),
    ],
    limit: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--limit",
            metavar="N",
            help="First N images of the seeded order.",
            rich_help_panel="Images",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Enough images: 'ci<=POINTS' (of ADCC, every method), or all.",
            rich_help_panel="Images",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="LIST",
            help="Some of the networks.  [default: all six]",
            autocompletion=completion.backbones,
            rich_help_panel="Measurement",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            metavar="LIST",
            help="Some of the methods: Score-CAM costs more than all others.  [default: all six]",
            autocompletion=completion.methods,
            rich_help_panel="Measurement",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="random:SEED",
            help="Untrained networks, to try things out: no result.",
            rich_help_panel="Measurement",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the run.  [default: the paper's]",
            rich_help_panel="The run's file",
        ),
    ] = None,
    compute: ComputeOptions,
    output: OutputOptions,
    max_failures: MaxFailuresOption = "",
    on_finish: OnFinishOption = "",
    dry_run: DryRunOption = False,
) -> None:
    """Measure a paper's table again, beside the paper's numbers.

    poppi2021: Table 2 of the paper that introduced ADCC: six networks with torchvision's weights
    of 2021, six methods, seven metrics, the 50,000 images of ImageNet's validation set. It is a run
    like any other: it goes on with the same command, or with camtui resume. At its end stand the
    printed numbers beside the measured ones, and which of the paper's claims hold.

    Example: camtui reproduce poppi2021 --data /data/imagenet/val --only resnet18 --until 'ci<=0.5'
    """
    path = run_path(name or name_for(f"{paper}-{weights}" if weights else paper))
    settings = driver_settings(compute, max_failures=max_failures, on_finish=on_finish)
    stored = known_run(path)
    with as_file(_plan_file(paper)) as file:
        typed = PlanOptions(
            data=data,
            backbones=_chosen(file, "backbones", only, "network"),
            methods=_chosen(file, "methods", method, "method"),
            choices=_choices(limit=limit, until=until, weights=weights),
            config=file,
        )
        before = stored.plan if stored else None
        plan, *_ = resolve_plan(typed, before, cuda=settings.on_cuda)
    request = RunRequest(path, path.stem, plan, settings, run_reference=reference(path))
    wanted = _wanted(plan, stored)
    if dry_run:
        from camtui.cli.dry_run import print_dry_run

        print_dry_run(request, stored, as_json=output.json)
        for line in wanted:
            print_message(line)
        return
    if weights:
        print_message(f"{weights}: untrained networks, not the paper's weights; no result")
    _measure(request, stored, output, wanted)


def _plan_file(paper: str) -> Traversable:
    if paper not in PAPERS:
        raise UsageError(
            f"no table of '{printable(paper, 40)}'",
            f"{did_you_mean(paper, PAPERS)}camtui reproduce {PAPERS[0]} --data IMAGENET",
        )
    return files("camtui").joinpath(f"data/{paper}.toml")


def _chosen(file: Path, key: str, given: list[str] | None, what: str) -> list[str] | None:
    """Return what is chosen of the paper's networks or methods.

    Raises:
        UsageError: the paper does not have it.
    """
    known = tomllib.loads(file.read_text("utf-8"))[key]
    chosen = catalog.split_list(given or [])
    for one in chosen:
        if one not in known:
            raise UsageError(
                f"the paper's table has no {what} '{printable(one, 60)}'",
                f"{did_you_mean(one, known)}it has {', '.join(known)}",
            )
    return chosen or None


def _choices(**given: int | str | None) -> dict[str, int | str]:
    """Return the options of the protocol that are given.

    Raises:
        UsageError: weights that are somebody's own.
    """
    weights = given["weights"]
    if weights is not None and not str(weights).startswith("random:"):
        raise UsageError(
            f"reproduce takes the published weights, not '{printable(weights, 60)}'",
            "leave --weights out, or --weights random:0 to try things out; your own weights: "
            "camtui run --weights FILE",
        )
    return {name: value for name, value in given.items() if value is not None}


def _wanted(plan: RunPlan, stored: StoredRun | None) -> list[str]:
    """Return which files of weights are not here, and where to put them, a line each."""
    names = [(key, known_backbone(key).weights_file) for key in missing_weights(plan, stored)]
    return [
        f"{key} wants {_PUBLISHED}{name} at {torch_checkpoints() / name}" for key, name in names
    ]


def _measure(
    request: RunRequest,
    stored: StoredRun | None,
    output: OutputOptions,
    wanted: list[str],
) -> None:
    """Start the run, show it until it ends, then print the paper's numbers beside its own."""
    code = 0
    try:
        start_run(request, stored, output)
    except BackboneUnavailable as error:
        if not wanted:
            raise
        for line in wanted:
            print_message(line)
        raise BackboneUnavailable(
            error.message,
            "fetch the files named above elsewhere, put them there, and repeat; --only takes "
            "some of the networks; to try things out: --weights random:0",
        ) from error
    except typer.Exit as end:
        code = end.exit_code
    if output.detach or code == 130:
        print_message(f"when it has ended: camtui compare {request.run_reference} --paper")
        raise typer.Exit(code)
    from camtui.cli.commands.compare import paper_payload, print_with_paper

    with open_run(str(request.db)) as reader:
        try:
            if output.json:
                print_json(paper_payload(reader, []))
            else:
                print_with_paper(reader, [], digits=2)
        except NotFound as error:
            print_message(error.message)
    raise typer.Exit(code)
