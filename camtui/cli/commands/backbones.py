"""``camtui backbones``: the networks there are, and whether their weights are here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line, print_message
from camtui.cli.options import JsonOption
from camtui.code_resolver import remember
from camtui.compute import choose_devices
from camtui.launch import ChildEnded, ask_once
from evaluator.backbones import (
    families,
    known_backbones,
    local_weights,
    other_backbones,
    parse_backbone,
    torch_checkpoints,
)
from evaluator.errors import RunFailed, UsageError
from evaluator.plan import validated, validated_plan
from evaluator.references import as_spec, installed
from evaluator.text import printable
from evaluator.user_code import sources_of

if TYPE_CHECKING:
    from camtui.payloads import BackbonePayload, BackbonesPayload


def check_network(
    text: str, image: Path | None = None, classes: Path | None = None
) -> dict[str, Any]:
    """Return the facts of a backbone; naming code here allows it to run, from now on.

    Args:
        text: the backbone as it is typed for a run.
        image: whose most confident classes are wanted.
        classes: file of class names.

    Raises:
        CamtuiError: it cannot be loaded, or is no classifier of such images.
    """
    spec = parse_backbone(text)
    values = {**vars(spec), "classes": spec.classes or (str(classes) if classes else None)}
    plan = validated(validated_plan({"data": "/", "backbones": [values], "methods": ["gradcam"]}))
    allowed = _allowed(spec.key)
    remember(allowed)
    asked = {
        "asked": "network",
        "plan": plan.to_dict(),
        "allowed": allowed,
        "device": choose_devices(None, None)[0],
        "image": str(image.expanduser().absolute()) if image else None,
    }
    try:
        return ask_once("evaluator.measuring.machine", asked)
    except ChildEnded as end:
        raise RunFailed(
            f"{spec.shown_key} ended the process: {printable(end.said, 200)}", "load it in Python"
        ) from None


def _allowed(key: str) -> dict[str, str]:
    found = installed("backbone").get(key) or as_spec(key)
    return {found.reference.text: sources_of(found.reference).sha256} if found else {}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the facts for people, a line each."""
    seen, classes = found["preprocessing"], found["classes"]
    shape = f"{found['channels']} × {found['height']} × {found['width']}"
    kind = {1: "grey", 3: "colour"}.get(seen["channels"], f"{seen['channels']} channels")
    tokens = "" if found["tokens"] is None else f", behind {found['tokens']} prefix tokens"
    cut = "its graph" if found["cut"] == "graph" else "hooks: every head costs a pass"
    named = (
        f": {', '.join(classes[:3])} …"
        if classes
        else ", without names: --classes FILE, or as many class folders"
    )
    yield f"network    {found['backbone']}: {found['weights']} (sha256 {found['sha256'][:16]})"
    yield f"layer      {found['layer']}: map {shape}{tokens}, cut by {cut}"
    head = (
        "global average pooling and one linear layer" if found["gap_linear"] else "differentiated"
    )
    yield f"head       {head}"
    yield f"attention  {found['attention'] or 'no'} blocks to look into"
    yield (
        f"images     {seen['side']} × {seen['side']}, "
        f"{kind}, short side "
        f"{seen['resize']} ({seen['interpolation']}), mean {_numbers(seen['mean'])}, std "
        f"{_numbers(seen['std'])}"
    )
    yield f"classes    {found['class_count']}{named}"
    yield f"score      {found['score']}"
    yield from (f"note       {remark}" for remark in found["remarks"])
    yield (
        f"speed      {found['forwards_per_second']:.1f} passes/s, {found['batch_size']} "
        f"at a time on {found['device']}"
    )
    for place, one in enumerate(found["top"]):
        name = one["name"] or f"class {one['index']}"
        yield f"{'image' if not place else '':<10} {one['score']:.4f}  {name}"


def _numbers(values: list[float]) -> str:
    return "/".join(f"{value:.3g}" for value in values)


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
    """List the networks, and which weights are here; or check one.

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

    found = check_network(check, image, classes)
    if json:
        print_json(found)
        return
    for line in lines(found):
        print_line(printable(line), 11)
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
    print(f"{'KEY':<20} {'LAYER':<12} {'HEAD':<6} {'CHANNELS':>8}  WEIGHTS HERE, OR THEIR FILE")
    for backbone in listed:
        head = "GAP" if backbone["gap_linear"] else "other"
        at_hand = "here" if backbone["weights"] else backbone["weights_file"]
        layer = backbone["layer"] or "last map"
        print(f"{backbone['key']:<20} {layer:<12} {head:<6} {backbone['channels']:>8}  {at_hand}")
    for key, one in registered:
        print(f"{printable(key):<20} {printable(one.reference.text)}")
        print_line(
            f"{'':<20} of the installed package {printable(one.package)}; camtui backbones --check "
            f"{printable(key)} looks at it",
            21,
        )
    print_message(
        f"weights are looked for in {printable(torch_checkpoints())}; --weights FILE or "
        "random:SEED takes others",
        0,
    )
    for family in families().values():
        print_message(f"{family.spelled:<41} {family.title}", 42)
    print_message(
        f"and {len(other_backbones())} more of torchvision by name: {', '.join(other_backbones())}",
        4,
    )
