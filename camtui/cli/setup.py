"""Commands that tell what there is: methods, backbones, doctor."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from camtui.cli import completing
from camtui.cli.app import JsonOption, app, narrate, print_json
from evaluator import catalog
from evaluator.methods import all_methods
from evaluator.text import printable

_TYPICAL_CHANNELS = 2048


@app.command()
def methods(json: JsonOption = False) -> None:
    """List the CAM methods: how they weigh, what they cost, their papers.

    Example: camtui methods --json
    """
    listed = [
        {
            "key": key, "title": kind.title, "weighs_by": kind.weighs_by, "paper": kind.paper,
            "forwards": kind().forwards(_TYPICAL_CHANNELS, True), "options": kind().options,
            "choices": {name: list(values) for name, values in kind.choices.items()},
            "needs_gap_linear": kind.needs_gap_linear, "beyond_paper": kind.beyond_paper,
        }
        for key, kind in all_methods().items()
    ]  # fmt: skip
    if json:
        print_json({"methods": listed})
        return
    for method in listed:
        print(f"{method['key']:<16} {method['title']}: {method['weighs_by']}")
        print(f"{'':<16} {method['paper']}")
        cost = f"{method['forwards']:,} forwards an image"
        needs = ", needs a GAP + linear head" if method["needs_gap_linear"] else ""
        print(f"{'':<16} {cost}{needs}{_options(method)}")
    narrate(f"forwards beyond the clean pass, with {_TYPICAL_CHANNELS} channels and a GAP head; options: -m KEY:NAME=VALUE")


def _options(method: dict[str, object]) -> str:
    options, choices = method["options"], method["choices"]
    assert isinstance(options, dict)
    assert isinstance(choices, dict)
    parts = [f"{name}={'|'.join(choices[name]) if name in choices else value}" for name, value in options.items()]
    return f"; options {', '.join(parts)}" if parts else ""


@app.command()
def backbones(json: JsonOption = False) -> None:
    """List the backbones, and whether their weights are on this machine.

    Example: camtui backbones
    """
    known = catalog.known_backbones()
    listed = [
        {
            "key": key, "title": backbone.title, "layer": backbone.layer, "channels": backbone.channels,
            "gap_linear": backbone.gap_linear, "weights": str(found) if (found := catalog.weights_at_hand(key)) else None,
            "weights_file": backbone.weights_file,
        }
        for key, backbone in known.items()
    ]  # fmt: skip
    if json:
        print_json({"backbones": listed, "others": list(catalog.OTHER_TORCHVISION)})
        return
    print(f"{'KEY':<20} {'NETWORK':<20} {'LAYER':<12} {'HEAD':<10} {'CHANNELS':>8}  WEIGHTS")
    for backbone in listed:
        head = "GAP+linear" if backbone["gap_linear"] else "other"
        at_hand = "here" if backbone["weights"] else f"not here: {backbone['weights_file']}"
        layer = backbone["layer"] or "last map"
        print(f"{backbone['key']:<20} {backbone['title']:<20} {layer:<12} {head:<10} {backbone['channels']:>8}  {at_hand}")
    narrate(f"weights are looked for in {printable(catalog.torch_checkpoints())}; --weights FILE or random:SEED takes others")
    narrate(f"and {len(catalog.OTHER_TORCHVISION)} more of torchvision by name: {', '.join(catalog.OTHER_TORCHVISION)}")


@app.command()
def doctor(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run to check; without one: this machine.", autocompletion=completing.runs),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild the run's sums from its rows.")] = False,
    json: JsonOption = False,
) -> None:
    """Check this machine, or a run's file: SQLite's own check, and every sum against its rows.

    Example: camtui doctor val --repair
    """
    if run is None:
        facts = _environment()
        if json:
            print_json(facts)
        else:
            for name, value in facts.items():
                print(f"{name:<12} {printable(value)}")
        return
    from camtui.runs import find_run

    problems = _examine(find_run(run), repair=repair)
    if json:
        print_json({"run": run, "problems": problems})
    for problem in problems if not json else ():
        print(printable(problem))
    if problems:
        narrate("hint:  camtui doctor RUN --repair rebuilds sums from rows" if not repair else "not all of it could be repaired")
        raise typer.Exit(1)
    narrate("the file is whole, and every sum is that of its rows")


def _examine(path: Path, *, repair: bool) -> list[str]:
    from evaluator.store.audit import audit
    from evaluator.store.audit import repair as rebuild
    from evaluator.store.reader import RunReader

    if repair:
        rebuild(path)
    with RunReader(path) as reader:
        return audit(reader)


def _environment() -> dict[str, str]:
    from camtui.devices import count_gpus
    from camtui.launch import logind_warning
    from camtui.runs import runs_home
    from camtui.versions import versions
    from evaluator.store.filesystem import MOUNTS, file_system

    home = runs_home()
    return {
        **versions(),
        "interpreter": sys.executable,
        "cpu": f"{len(os.sched_getaffinity(0))} cores",
        "gpus": str(count_gpus()),
        "runs": f"{home} ({file_system(home, MOUNTS) or 'unknown file system'})",
        "weights": str(catalog.torch_checkpoints()),
        "terminal": os.environ.get("TERM", "none"),
        "logout": logind_warning() or "runs go on",
    }
