"""``camtui bench``: the speed of this machine, and the time of the paper's protocol on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_message
from camtui.cli.options import JsonOption
from camtui.compute import choose_devices, usual_precision
from camtui.format.numbers import duration
from camtui.launch import ChildEnded, ask
from camtui.paper import table2
from evaluator import catalog
from evaluator.backbones import known_backbone
from evaluator.errors import RunFailed, UsageError
from evaluator.plan import RunPlan
from evaluator.text import counted

if TYPE_CHECKING:
    from camtui.payloads import BenchedBackbonePayload, BenchPayload


PROTOCOL_IMAGES = 50_000
"""The validation set of ImageNet, which Table 2 is about."""


app = command_app()


@app.command(cls=Command)
def bench(
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            "-b",
            metavar="LIST",
            help="Which; the paper's six unless given.",
            autocompletion=completion.backbones,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="cpu|cuda:N", help="A GPU where there is one.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="fp32|mixed|bf16", help="[default: fp32 on cpu, mixed on cuda]"),
    ] = None,
    images: Annotated[
        int, typer.Option(metavar="N", min=1, help="Images that the estimate is for.")
    ] = PROTOCOL_IMAGES,
    json: JsonOption = False,
) -> None:
    """Measure this machine, and how long Table 2 would take on it.

    Passes a second by network, on synthetic images, with the batch size that suits it.

    Example: camtui bench -b resnet50 --precision mixed
    """
    names = [name for text in backbone or list(table2()) for name in text.split(",")]
    for name in names:
        known_backbone(name)
    where = choose_devices(device, None)[0]
    precision = precision or usual_precision(cuda=where.startswith("cuda"))
    if precision not in ("fp32", "mixed", "bf16"):
        raise UsageError(
            f"--precision takes fp32, mixed or bf16, not '{precision}'",
            "camtui bench --precision mixed",
        )
    print_message(
        f"measuring {counted(len(names), 'network')} on {where} in {precision}, "
        "about ten seconds each"
    )
    estimates = []
    for found in _measured(names, where, precision):
        if not json:
            _print_figures(found)
        estimates.append(estimate(found, images))
    if json:
        payload: BenchPayload = {"images": images, "backbones": estimates}
        print_json(payload)
        return
    print()
    for line in _table(estimates, images):
        print(line)


def _measured(names: list[str], device: str, precision: str) -> Iterator[dict[str, Any]]:
    """Yield figures as they come, from a process of its own: this one never holds torch."""
    request = {"asked": "throughput", "backbones": names, "device": device, "precision": precision}
    try:
        yield from ask("evaluator.measuring.machine", request)
    except ChildEnded as end:
        raise RunFailed(f"the measurement ended with {end.said}", "camtui doctor") from end


def _print_figures(found: dict[str, Any]) -> None:
    share = 100 * found["rows"] / found["measuring"], 100 * found["masks"] / found["weighing"]
    sizes = found["batch_sizes"]
    size = sizes["bf16" if found["precision"] == "bf16" else "fp32"]
    print(
        f"{found['backbone']:<18} {found['measuring']:>8.1f} passes/s raw   gradient "
        f"rows {share[0]:3.0f} %   "
        f"score-cam masks {share[1]:3.0f} % of {found['weighing']:.1f}   batch {size}",
        flush=True,
    )


def estimate(found: dict[str, Any], images: int) -> BenchedBackbonePayload:
    """Seconds of every method of Table 2 with all of its metrics, beside what was measured."""
    seconds = {
        name: images * _seconds_an_image(name, found) for name in _methods_of(found["backbone"])
    }
    payload = {**found, "seconds": seconds, "total": sum(seconds.values())}
    return cast("BenchedBackbonePayload", payload)


def _methods_of(backbone: str) -> list[str]:
    """Return the methods of a backbone's rows in Table 2, or of all six backbones for any other."""
    return list(table2().get(backbone) or table2()["resnet50"])


def _seconds_an_image(name: str, found: dict[str, Any]) -> float:
    kind = catalog.method(name)
    forwards = kind.forwards(found["channels"], found["gap_linear"])
    curves = 2 * (RunPlan.curve_steps - 1) / found["measuring"]
    scoring = forwards - 1 if kind.masks_channels else 0
    return float(scoring / found["masks"] + (forwards - scoring) / found["rows"] + curves)


def _table(estimates: list[BenchedBackbonePayload], images: int) -> Iterator[str]:
    methods = list(dict.fromkeys(name for one in estimates for name in one["seconds"]))
    yield f"{images:,} images with all seven metrics, on one device:"
    yield f"{'':<18}" + "".join(f"{name[:15]:>16}" for name in methods) + f"{'total':>12}"
    for one in estimates:
        cells = (
            duration(one["seconds"][name]) if name in one["seconds"] else "" for name in methods
        )
        yield (
            f"{one['backbone']:<18}"
            + "".join(f"{cell:>16}" for cell in cells)
            + f"{duration(one['total']):>12}"
        )
