"""``camtui backbones``: the networks there are, and whether their weights are here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_message
from camtui.cli.options import JsonOption
from evaluator.backbones import (
    families,
    known_backbones,
    local_weights,
    other_backbones,
    torch_checkpoints,
)
from evaluator.errors import UsageError
from evaluator.references import installed
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import BackbonePayload, BackbonesPayload


app = command_app()


@app.command(cls=Command)
def backbones(
    check: Annotated[
        str,
        typer.Option(
            "--check",
            metavar="SPEC",
            help="Load one, as -b names it, and say what it is and how fast.",
        ),
    ] = "",
    image: Annotated[
        Path | None,
        typer.Option(
            "--image", metavar="FILE", help="With --check: its five most confident classes."
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", metavar="FILE", help="With --check: class names, one a line."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the backbones, and whether their weights are here; or check one.

    Those that installed packages register stand behind camtui's own; their code is not imported.
    Naming code with --check allows it to run from now on.

    Example: camtui backbones --check ./mynet.py:build --image photo.jpg
    """
    if not check:
        if image or classes:
            raise UsageError(
                "--image and --classes belong to --check",
                "camtui backbones --check resnet50 --image FILE",
            )
        _list(as_json=json)
        return
    from camtui.backbone_check import check_network, lines

    found = check_network(check, image, classes)
    if json:
        print_json(found)
        return
    for line in lines(found):
        print(printable(line))
    print_message(f"a run with it: camtui run --data FOLDER -b {printable(check)}")


def _list(*, as_json: bool) -> None:
    known = known_backbones()
    listed: list[BackbonePayload] = [
        {
            "key": key,
            "title": backbone.title,
            "layer": backbone.layer,
            "channels": backbone.channels,
            "gap_linear": backbone.gap_linear,
            "weights": str(found) if (found := local_weights(key)) else None,
            "weights_file": backbone.weights_file,
        }
        for key, backbone in known.items()
    ]
    registered = sorted(installed("backbone").items())
    if as_json:
        payload: BackbonesPayload = {
            "backbones": listed,
            "others": list(other_backbones()),
            "installed": [
                {"key": key, "reference": one.reference.text, "package": one.package}
                for key, one in registered
            ],
        }
        print_json(payload)
        return
    print(f"{'KEY':<20} {'NETWORK':<20} {'LAYER':<12} {'HEAD':<10} {'CHANNELS':>8}  WEIGHTS")
    for backbone in listed:
        head = "GAP+linear" if backbone["gap_linear"] else "other"
        at_hand = "here" if backbone["weights"] else f"not here: {backbone['weights_file']}"
        layer = backbone["layer"] or "last map"
        print(
            f"{backbone['key']:<20} {backbone['title']:<20} {layer:<12} {head:<10} "
            f"{backbone['channels']:>8}  {at_hand}"
        )
    for key, one in registered:
        print(f"{printable(key):<20} {printable(one.reference.text)}")
        print(
            f"{'':<20} of the installed package {printable(one.package)}; camtui backbones --check "
            f"{printable(key)} looks at it"
        )
    print_message(
        f"weights are looked for in {printable(torch_checkpoints())}; --weights FILE or "
        "random:SEED takes others"
    )
    for family in families().values():
        print_message(f"{family.spelled:<40} {family.title}")
    print_message(
        f"and {len(other_backbones())} more of torchvision by name: {', '.join(other_backbones())}"
    )
