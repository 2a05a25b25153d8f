"""``camtui doctor``: facts of this machine, and damage in a run's file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_message
from camtui.cli.options import JsonOption
from camtui.runs import find_run, reference
from evaluator.backbones import torch_checkpoints
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from camtui.payloads import RunCheckPayload


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
        bool, typer.Option("--images", help="Also compare every image file with what was decoded.")
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
        print(printable(problem))
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


def _machine(*, as_json: bool) -> None:
    from camtui.cli.cuda_report import CudaReport, cuda_report
    from camtui.devices import count_gpus

    gpus = count_gpus()
    report = cuda_report(gpus) if gpus else CudaReport({}, [])
    facts = {**_environment(gpus), **report.facts}
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            print(f"{name:<12} {printable(value)}")
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
    from camtui.runs import runs_home
    from camtui.versions import extras, versions
    from evaluator.store.filesystem import MOUNTS, file_system

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
