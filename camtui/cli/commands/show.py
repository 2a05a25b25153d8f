"""``camtui show``: what a run is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line
from camtui.cli.options import JsonOption, RunArgument
from camtui.runs import open_run
from evaluator.plan import earlier_choices, options_of
from evaluator.records import IMAGENET_MEAN, IMAGENET_STD
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import ShownRunPayload, StageTimingPayload
    from evaluator.records import LoadedBackbone
    from evaluator.store.reader import RunReader


app = command_app()


@app.command(cls=Command)
def show(
    run: RunArgument = "@last",
    config: Annotated[
        bool, typer.Option("--config", help="The plan as TOML; camtui run --config takes it back.")
    ] = False,
    env: Annotated[bool, typer.Option("--env", help="Versions and device.")] = False,
    timings: Annotated[
        bool, typer.Option("--timings", help="Seconds per image of every stage.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a run is: protocol, weights, versions, timings.

    With no option all but the plan's TOML.

    Example: camtui show val --config
    """
    from camtui.export.records import SCHEMA_VERSION, run_record

    reader = open_run(run)
    if config and not as_json:
        from camtui.export.records import plan_toml

        sys.stdout.write(plan_toml(reader))
        return
    if as_json:
        payload: ShownRunPayload = {
            "schema_version": SCHEMA_VERSION,
            "run": run_record(reader),
            "timings": list(_timings(reader)),
        }
        print_json(payload)
        return
    parts = [_about(reader)] if not (env or timings) else []
    parts += [_environment(reader)] if env or not timings else []
    parts += [_timing_lines(reader)] if timings or not env else []
    for part in parts:
        for line in part:
            print_line(printable(line), 12)


def _about(reader: RunReader) -> Iterator[str]:
    from camtui.export.records import run_record
    from camtui.format.notes import choice_text, look_text, run_title

    run, plan = run_record(reader), reader.plan()
    yield run_title(reader)
    yield f"file        {reader.path}"
    yield f"created     {run['created']}   finished {run['finished'] or '–'}"
    yield (
        f"data        {plan.data}{f', first {plan.limit}' if plan.limit else ''}, "
        f"order of seed {plan.seed}"
    )
    yield from _said_of_images(reader)
    for name, loaded in reader.backbones().items():
        yield f"network     {name}: {_backbone(loaded) if loaded else 'not loaded yet'}"
        yield from (f"            {remark}" for remark in (loaded.remarks if loaded else ()))
    yield f"methods     {', '.join(plan.methods)}"
    yield f"metrics     {', '.join(plan.metrics)}"
    for one in plan.code:
        package = f", {one.package}" if one.package else ""
        yield f"code        {one.key}: {one.reference} (sha256 {one.sha256[:16]}{package})"
    always = (choice_text(plan, option.name) for option in options_of(()))
    yield f"protocol    {', '.join(always)}"
    yield from _undefined(reader)
    look = reader.look()
    if look is not None:
        yield f"until       {look_text(look, run['images'], ended=run['state'] == 'complete')}"
        yield from (f"            {verdict}" for verdict in look.verdicts)
    yield from (f"{heading:<12}{note}" for heading, note in plan.notes().items())
    for choice in earlier_choices(plan, begun_earlier=reader.keeps_earlier_words()):
        yield f"as before   {choice}"


def _said_of_images(reader: RunReader) -> Iterator[str]:
    """Yield what the newest session said of labels and of files that are no images."""
    from evaluator.execution.labelling import LABELS
    from evaluator.images import LEFT_OUT

    events = [event.text for event in reader.events(limit=-1)]
    for start in (LEFT_OUT, LABELS):
        text = next((text for text in reversed(events) if text.startswith(start)), "")
        if text:
            yield f"{start.strip(': '):<12}{text.removeprefix(start)}"


def _undefined(reader: RunReader) -> Iterator[str]:
    """Of how many images some averages are, where that is not every row, and why."""
    from camtui.format.cells import cell_views, shown_metrics
    from camtui.format.notes import mean_notes

    views, lacking, title = cell_views(reader), reader.lacking(), "averages"
    for backbone in dict.fromkeys(view.cell.backbone for view in views):
        group = [view for view in views if view.cell.backbone == backbone]
        for note in mean_notes(group, shown_metrics(reader), lacking):
            yield f"{title:<11} {backbone}: {note}"
            title = ""


def _backbone(loaded: LoadedBackbone) -> str:
    """Weights, layer and how it is cut, what it sees, and what is not as usual."""
    seen = loaded.preprocessing
    parts = [
        f"{loaded.weights} (sha256 {loaded.sha256[:16]})",
        f"layer {loaded.layer}, cut by {_CUTS[loaded.cut]}",
    ]
    kind = {1: " grey", 3: ""}.get(seen.channels, f" of {seen.channels} channels")
    parts.append(f"{seen.side} × {seen.side}{kind}")
    if (seen.resize, seen.interpolation) != (seen.side, "bilinear"):
        parts.append(f"resized to {seen.resize} ({seen.interpolation})")
    statistics = ("mean", seen.mean, IMAGENET_MEAN), ("std", seen.std, IMAGENET_STD)
    for name, values, usual in statistics:
        if values != usual:
            parts.append(f"{name} {'/'.join(f'{value:.3g}' for value in values)}")
    if loaded.transform_input is not None:
        parts.append(f"transform_input {'yes' if loaded.transform_input else 'no'}")
    if loaded.score != "softmax":
        parts.append(loaded.score)
    return ", ".join(parts)


_CUTS = {"graph": "its graph", "hooks": "hooks: heads cost a pass"}


def _environment(reader: RunReader) -> Iterator[str]:
    for name, value in sorted(reader.info().versions.items()):
        yield f"{name:<11} {value}"


def _timings(reader: RunReader) -> Iterator[StageTimingPayload]:
    for stage in reader.stages():
        each = stage.seconds / stage.timed_images if stage.timed_images else None
        yield {
            "stage": stage.title,
            "done": stage.done,
            "images": stage.images,
            "seconds": stage.seconds,
            "seconds_per_image": each,
            "forwards_per_image": stage.forwards_per_image,
        }


def _timing_lines(reader: RunReader) -> Iterator[str]:
    from camtui.format import ABSENT, count, duration

    for stage in _timings(reader):
        each = (
            ABSENT
            if stage["seconds_per_image"] is None
            else f"{1000 * stage['seconds_per_image']:.1f} ms/image"
        )
        done = f"{count(stage['done'])}/{count(stage['images'])}"
        passes = f"{stage['forwards_per_image']:g} passes"
        yield f"stage       {stage['stage']}"
        yield f"{done:>26}  {each:>16}  {passes:>15}  {duration(stage['seconds'])}"
