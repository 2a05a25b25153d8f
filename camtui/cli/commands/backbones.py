"""``camtui backbones``: the networks there are, and whether their weights are here."""

from __future__ import annotations

from camtui.cli.command_decorator import command
from camtui.cli.console import narrate, print_json
from camtui.cli.options import JsonOption
from evaluator.backbones import known_backbones, other_backbones, torch_checkpoints, weights_at_hand
from evaluator.text import printable


@command
def backbones(json: JsonOption = False) -> None:
    """List the backbones, and whether their weights are here.

    Example: camtui backbones
    """
    known = known_backbones()
    listed = [
        {
            "key": key, "title": backbone.title, "layer": backbone.layer, "channels": backbone.channels,
            "gap_linear": backbone.gap_linear, "weights": str(found) if (found := weights_at_hand(key)) else None,
            "weights_file": backbone.weights_file,
        }
        for key, backbone in known.items()
    ]  # fmt: skip
    if json:
        print_json({"backbones": listed, "others": list(other_backbones())})
        return
    print(f"{'KEY':<20} {'NETWORK':<20} {'LAYER':<12} {'HEAD':<10} {'CHANNELS':>8}  WEIGHTS")
    for backbone in listed:
        head = "GAP+linear" if backbone["gap_linear"] else "other"
        at_hand = "here" if backbone["weights"] else f"not here: {backbone['weights_file']}"
        layer = backbone["layer"] or "last map"
        print(f"{backbone['key']:<20} {backbone['title']:<20} {layer:<12} {head:<10} {backbone['channels']:>8}  {at_hand}")
    narrate(f"weights are looked for in {printable(torch_checkpoints())}; --weights FILE or random:SEED takes others")
    narrate(f"and {len(other_backbones())} more of torchvision by name: {', '.join(other_backbones())}")
