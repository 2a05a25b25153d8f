"""``camtui check``: the rules of every method and metric, tried on one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from camtui import completion
from camtui.cli.command import Command, command_app, run_command
from camtui.cli.console import print_json, print_line, print_message
from camtui.cli.options import JsonOption
from camtui.code_resolver import remember
from camtui.launch import ChildEnded, ask
from evaluator import catalog
from evaluator.errors import RunFailed, UsageError
from evaluator.references import as_spec, installed
from evaluator.text import counted, printable
from evaluator.user_code import sources_of

if TYPE_CHECKING:
    from camtui.payloads import (
        AgainstNetworkPayload,
        AgainstPayload,
        CheckPayload,
        RulePayload,
    )


app = command_app()


@app.command(cls=Command)
def check(
    ctx: typer.Context,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="FILE.py:Name, package.module:Name, or a name of camtui methods.",
            autocompletion=completion.methods,
        ),
    ],
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="METHOD",
            help="How far its maps are from this one's, on the demo's photographs and networks.",
            autocompletion=completion.methods,
        ),
    ] = "",
    backbone: Annotated[
        str,
        typer.Option(
            "-b",
            "--backbone",
            metavar="NAMES",
            help="With --against: the networks, instead of the demo's.",
            autocompletion=completion.backbones,
        ),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Check a method or a metric against the rules of all.

    On small networks; a network is loaded and tried.

    With --against the maps of two methods are compared instead, image by image: a class of captum,
    pytorch-grad-cam or torchcam with ours, for example. It exits 1 where no network had both maps.

    Shape, numbers, the same alone and in batches, the same twice, nothing kept, passes as
    declared, nothing overwritten. Naming code here allows it to run from now on.

    Example: camtui check ./mycam.py:MyCAM
    """
    asked = _asked(reference)
    if against:
        networks = [name for name in backbone.split(",") if name]
        wanted = {"first": asked, "second": _asked(against), "networks": networks}
        raise typer.Exit(0 if _compare(wanted, as_json=json) else 1)
    if backbone:
        raise UsageError("-b goes with --against", f"camtui check {reference}")
    if not json:
        print_message(f"checking {printable(reference)}: loading torch first")
    answers = _answers(asked)
    about = next(answers)
    if about["axis"] == "backbone":
        run_command(ctx, "backbones", "--check", reference, *(["--json"] if json else []))
        return
    verdicts: list[RulePayload] = []
    for verdict in answers:
        verdicts.append(cast("RulePayload", verdict))
        if not json:
            print_line(
                f"{_WORDS[verdict['passed']]:<6} {verdict['rule']:<30} "
                f"{printable(verdict['found'])}",
                38,
            )
    failed = [verdict for verdict in verdicts if verdict["passed"] is False]
    if json:
        payload: CheckPayload = {
            "axis": about["axis"],
            "spec": about["spec"],
            "passed": not failed,
            "rules": verdicts,
        }
        print_json(payload)
    elif failed:
        print_message(f"{about['spec']}: {len(failed)} of {counted(len(verdicts), 'rule')} broken")
    else:
        print_message(
            f"{about['spec']} passes: camtui run --data FOLDER -b {_backbone_for(about['spec'])} "
            f"{_option(about['axis'])} {reference}"
        )
    raise typer.Exit(1 if failed else 0)


_WORDS = {True: "ok", False: "FAILS", None: "–"}


def _backbone_for(spec: str) -> str:
    """A backbone on which a method is defined; camtui's own methods say what they need."""
    kind = catalog.known_methods().get(catalog.key_of(spec))
    return "vit_b_16" if kind is not None and kind.needs_attention else "resnet50"


def _option(axis: str) -> str:
    return "--metric" if axis == "metric" else "-m"


def _asked(text: str) -> dict[str, Any]:
    """Return the subject of the check: camtui's own, or code that typing it allows."""
    key = catalog.key_of(text)
    tail = text[len(key) + 1 :]
    if key in catalog.known_methods():
        return {"axis": "method", "spec": text}
    if key in catalog.known_metrics():
        return {"axis": "metric", "spec": text}
    registered = installed("method").get(key) or installed("metric").get(key)
    if given := as_spec(text):
        reference, tail = given.reference, given.tail
    elif registered:
        reference = registered.reference
    else:
        catalog.method(text)
        raise AssertionError("the catalog knows no such method")
    if reference.maps:
        raise UsageError(
            "maps have no code to check", f"camtui run --data FOLDER -b resnet50 -m {text}"
        )
    sha256 = sources_of(reference).sha256
    remember({reference.text: sha256})
    return {"reference": reference.text, "sha256": sha256, "tail": tail}


def _answers(asked: dict[str, Any], module: str = "conformance") -> Iterator[dict[str, Any]]:
    """Yield the answers of the checking process, a line each.

    Raises:
        CamtuiError: it cannot be imported, or is neither method nor metric; the process has died.
    """
    try:
        yield from ask(f"evaluator.measuring.{module}", asked)
    except ChildEnded as end:
        raise RunFailed(
            f"the check has ended with {end.end}",
            "what it computes ends the process: try it in Python",
        ) from end


def _compare(asked: dict[str, Any], *, as_json: bool) -> bool:
    """Print how far the maps of two methods are apart, network by network as they are computed.

    Returns:
        Whether they were compared on a network at least.
    """
    if not as_json:
        print_message("comparing maps: loading torch and the first network")
    answers = _answers(asked, "against")
    about = next(answers)
    if as_json:
        found = list(answers)
        payload: AgainstPayload = {
            "methods": about["specs"],
            "paper_shaped": about["references"],
            "networks": [_network(one) for one in found],
        }
        print_json(payload)
        return any("images" in one for one in found)
    one, other = map(printable, about["specs"])
    network, compared = None, False
    for network in answers:
        compared |= "images" in network
        if problem := network.get("problem"):
            print(f"{network['network']}: {printable(problem)}")
        for image, largest, correlation in network.get("images", ()):
            print(
                f"{network['network']:<20} {image:<24} largest difference {largest:.1e}, "
                f"correlation {correlation:.4f}",
                flush=True,
            )
    if network is None:
        raise RunFailed("the demo's networks are not installed", 'pip install "camtui[demo]"')
    if not compared:
        print_message(f"{one} against {other}: compared on no network")
        return False
    pairs = zip(about["specs"], about["references"], strict=True)
    held = [printable(spec) for spec, is_held in pairs if is_held]
    print_message(
        f"{one} against {other}: maps scaled to [0, 1], at the input's pixels; held against a loop "
        f"of the paper's formula: {' and '.join(held) or 'neither'}"
    )
    return True


def _network(answer: dict[str, Any]) -> AgainstNetworkPayload:
    return {
        "network": answer["network"],
        "problem": answer.get("problem"),
        "images": [
            {"image": image, "largest": largest, "correlation": correlation}
            for image, largest, correlation in answer.get("images", ())
        ],
    }
