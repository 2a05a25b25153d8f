"""The part of ``camtui doctor`` on NVIDIA GPUs, asked in child processes that hold torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from camtui.child import ChildEnded, ask
from camtui.devices import choose_devices, usual_precision
from evaluator.execution.cpu_shares import share_of
from evaluator.text import printable

MODULE = "evaluator.measuring.device_check"

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
    return ask(MODULE, request, PATIENCE)


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
