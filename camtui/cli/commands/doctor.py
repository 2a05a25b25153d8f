"""``camtui doctor``: facts of this machine, and damage in a run's file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line, print_message, stdout_console
from camtui.cli.options import JsonOption
from camtui.compute import choose_devices, usual_precision
from camtui.launch import ChildEnded, ask
from camtui.runs import find_run, reference
from evaluator.backbones import torch_checkpoints
from evaluator.execution.workers import share_of
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from camtui.payloads import RunCheckPayload

MODULE = "evaluator.measuring.machine"

PATIENCE = 120.0
"""Seconds that a device may take for its check, which should take five."""


class CudaReport(NamedTuple):
    """Facts in the order in which they are shown, and what is wrong, in words."""

    facts: dict[str, str]
    problems: list[str]


def cuda_report(gpus: int) -> CudaReport:
    """Ask torch and the driver about so many GPUs, and let every one compute a batch."""
    answer = _answer(_ask())
    if error := answer.get("failed") or answer["error"]:
        facts = {
            "driver": _driver(answer),
            "cuda": f"{_build(answer)}does not start: {printable(error)}",
        }
        return CudaReport(facts, [f"CUDA {_build(answer)}does not start: {error}"])
    workers = choose_devices("cuda", None)
    share = share_of(workers[0], workers, len(os.sched_getaffinity(0)))
    facts = {
        "driver": _driver(answer),
        "cuda": f"torch is built for CUDA {answer['cuda_build']}",
        "precision": f"{usual_precision(cuda=True)} unless --precision says otherwise; TF32 "
        f"{'ON' if answer['tf32'] else 'off'}",
        "workers": f"{len(workers)}, each with {share.threads} computing and {share.loaders} "
        "decoding threads",
    }
    problems = ["float32 would be computed in TF32"] if answer["tf32"] else []
    if len(answer["devices"]) != gpus:
        problems.append(f"the system has {gpus} GPUs, torch sees {len(answer['devices'])}")
    children = {
        f"cuda:{number}": _ask(device=f"cuda:{number}") for number in range(len(answer["devices"]))
    }
    for device, child in children.items():
        found = _answer(child)
        error = found.get("failed") or found["error"]
        facts[device] = printable(f"{_about(found)}{error or _well(found)}")
        if error:
            problems.append(f"{device}: {error}")
    return CudaReport(facts, problems)


def _ask(**request: str) -> Iterator[dict[str, Any]]:
    return ask(MODULE, {"asked": "device", **request}, PATIENCE)


def _answer(child: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Return the facts that the child found; ``failed`` says why it found nothing."""
    try:
        return next(child)
    except TimeoutError:
        return {"failed": f"no answer within {PATIENCE:.0f} s"}
    except ChildEnded as end:
        return {"failed": end.said}


def _driver(answer: dict[str, Any]) -> str:
    if not answer.get("driver"):
        return "does not answer"
    return f"{answer['driver']}, for CUDA up to {answer['driver_cuda']}"


def _build(answer: dict[str, Any]) -> str:
    if "cuda_build" not in answer:
        return ""
    return f"{answer['cuda_build'] or '(torch is built without it)'} "


def _about(found: dict[str, Any]) -> str:
    """``NVIDIA H100, 80 GB, a MIG slice: ``."""
    if not found.get("name"):
        return ""
    return (
        f"{found['name']}, {found['memory'] / 1e9:.0f} "
        f"GB{', a MIG slice' if found['mig'] else ''}: "
    )


def _well(found: dict[str, Any]) -> str:
    return (
        f"the CPU's rows to within {found['difference']:.1g} in "
        f"{found['precision']}, {found['seconds']:.1f} s"
    )


app = command_app()


@app.command(cls=Command)
def doctor(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run to check; without one: this machine.",
            autocompletion=completion.runs,
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Drop what is not what was written, rebuild sums from the rows."
        ),
    ] = False,
    seal: Annotated[
        bool, typer.Option("--seal", help="Give the records of an older camtui their checksums.")
    ] = False,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help="Also compare every image file with what was decoded; without a run: draw a "
            "picture in both ways, to see whether the font has the signs.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check this machine, or a run's file against its own rows.

    Of a machine with NVIDIA GPUs: driver and torch, and a batch on every GPU against the rows of
    the CPU, in a few seconds. Of a file: SQLite's own check, its tables, the checksum of every
    record, and every sum, recomputed from the rows. --repair drops damaged rows, which camtui
    resume computes again.

    Example: camtui doctor val --repair
    """
    if run is None:
        _machine(as_json=json)
        if images and not json:
            _draw()
        return
    found = _examine(find_run(run), repair=repair, seal=seal, images=images)
    if json:
        payload: RunCheckPayload = {
            "run": run,
            "problems": found.problems,
            "remark": found.remark,
        }
        print_json(payload)
    for problem in found.problems if not json else ():
        print_line(printable(problem), 2)
    for line in filter(None, (found.done, found.remark)):
        print_message(line)
    if found.problems:
        print_message(
            "hint:  camtui doctor RUN --repair drops damaged rows and rebuilds sums"
            if not repair
            else _NOT_ALL
        )
        raise typer.Exit(1)
    print_message("the file is whole, and every sum is that of its rows")


def _draw() -> None:
    """Draw one map as the dashboard draws pictures: in quadrants, and in half cells."""
    import numpy as np
    from rich.segment import Segment, Segments

    from camtui.pictures import coloured
    from camtui.tui.image_text import strips

    away = np.linspace(-1.5, 1.5, 56, dtype=np.float32) ** 2
    picture = coloured(np.exp(-(away[:, None] + away[None, :])), "turbo")
    console = stdout_console()
    for glyphs, option in (("quadrants", "the default"), ("halves", "camtui watch --images half")):
        print(f"\n{glyphs}: {option}")
        for strip in strips(
            picture, 28, 14, glyphs="halves" if glyphs == "halves" else "quadrants"
        ):
            console.print(Segments([*strip, Segment.line()]))


def _machine(*, as_json: bool) -> None:
    from camtui.compute import count_gpus

    gpus = count_gpus()
    report = cuda_report(gpus) if gpus else CudaReport({}, [])
    facts = {**_environment(gpus), **report.facts}
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            print_line(f"{name:<12} {printable(value)}", 13)
    for problem in report.problems:
        print_message(f"wrong: {printable(problem)}")
    if report.problems:
        print_message(
            "hint:  docs/gpu.md says what each of these means; camtui run --device cpu does without"
        )
        raise typer.Exit(1)


_NOT_ALL = "not all of it could be repaired: take a copy that is whole, or begin the run anew"


class _Findings(NamedTuple):
    """Repairs of a run's file, the problems that are left, and what it lacks."""

    done: str
    problems: list[str]
    remark: str


def _examine(path: Path, *, repair: bool, seal: bool, images: bool) -> _Findings:
    from evaluator.store import audit
    from evaluator.store.reader import RunReader

    done = ""
    if seal:
        done = f"{counted(audit.seal(path), 'row')} and measurements got their checksums"
    if repair and (dropped := audit.repair(path)):
        done = (
            f"{counted(dropped, 'row')} and measurements were dropped: camtui resume "
            f"{reference(path)} computes them again"
        )
    with RunReader(path) as reader:
        problems = audit.audit(reader)
        if images:
            problems += audit.changed_images(reader)
        return _Findings(done, problems, audit.remark(reader))


def _environment(gpus: int) -> dict[str, str]:
    from camtui.launch import logind_warning
    from camtui.runs import extras, runs_home, versions
    from evaluator.store.files import MOUNTS, file_system

    home = runs_home()
    return {
        **versions(),
        "interpreter": sys.executable,
        "cpu": f"{len(os.sched_getaffinity(0))} cores",
        "gpus": str(gpus),
        "runs": f"{home} ({file_system(home, MOUNTS) or 'unknown file system'})",
        "weights": str(torch_checkpoints()),
        "extras": f'{extras()}: pip install "camtui[NAME]"',
        "terminal": os.environ.get("TERM", "none"),
        "logout": logind_warning() or "runs go on",
    }
