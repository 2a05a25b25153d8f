"""``camtui methods``: the CAM methods there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line, print_message
from camtui.cli.options import JsonOption
from evaluator.methods import all_methods
from evaluator.references import installed
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import InstalledPayload, MethodPayload, MethodsPayload


_TYPICAL_CHANNELS = 2048


app = command_app()


@app.command(cls=Command)
def methods(json: JsonOption = False) -> None:
    """List the CAM methods: how they weigh, and what they cost.

    Those that installed packages register stand behind camtui's own; their code is not imported.

    Example: camtui methods --json
    """
    others = [one for key, one in sorted(installed("method").items()) if key not in all_methods()]
    listed: list[MethodPayload] = [
        {
            "key": key,
            "title": kind.title,
            "weighs_by": kind.weighs_by,
            "paper": kind.paper,
            "forwards": kind().forwards(_TYPICAL_CHANNELS, True),
            "options": kind().options,
            "choices": {name: list(values) for name, values in kind.choices.items()},
            "needs_gap_linear": kind.needs_gap_linear,
            "needs_attention": kind.needs_attention,
            "beyond_paper": kind.beyond_paper,
            "control": kind.control,
            "optimises": kind.optimises,
        }
        for key, kind in all_methods().items()
    ]
    if json:
        registered: list[InstalledPayload] = [
            {"key": one.name, "reference": one.reference.text, "package": one.package}
            for one in others
        ]
        payload: MethodsPayload = {"methods": listed, "installed": registered}
        print_json(payload)
        return
    for method in listed:
        print_line(f"{method['key']:<16} {method['title']}: {method['weighs_by']}", 17)
        print(f"{'':<16} {method['paper']}")
        cost = f"{method['forwards']:,} {'pass' if method['forwards'] == 1 else 'passes'} an image"
        if all_methods()[method["key"]]().forwards(1, True) != method["forwards"]:
            cost += f" at {_TYPICAL_CHANNELS:,} channels"
        needs = ", needs a GAP + linear head" if method["needs_gap_linear"] else ""
        needs += ", needs attention blocks over all tokens" if method["needs_attention"] else ""
        control = ", a control: not ranked" if method["control"] else ""
        made_for = f", optimises {method['optimises']}" if method["optimises"] else ""
        print_line(f"{'':<16} {cost}{needs}{control}{made_for}{_options(method)}", 17)
    for one in others:
        print(f"{printable(one.name):<16} {printable(one.reference.text)}")
        print_line(
            f"{'':<16} of the installed package {printable(one.package)}; camtui check "
            f"{printable(one.name)} looks at it",
            17,
        )
    print_message(
        "passes beyond the clean one, which a plan counts too, with a GAP head; "
        "options: -m KEY:NAME=VALUE",
        0,
    )


def _options(method: MethodPayload) -> str:
    options, choices = method["options"], method["choices"]
    parts = [
        f"{name}={_one_of(choices[name]) if name in choices else value}"
        for name, value in options.items()
    ]
    return f"; options {', '.join(parts)}" if parts else ""


def _one_of(choices: list[str]) -> str:
    """``a|b|c``; many of them with spaces, where a line may be folded."""
    return ("|" if len(choices) < 6 else " | ").join(choices)
