"""Shares of a Ray cluster for its workers: their number, and the CPUs and GPUs of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from evaluator.errors import UsageError


class NodeRoom(NamedTuple):
    """CPUs and GPUs of one node of the cluster."""

    cpus: float
    gpus: float


class Share(NamedTuple):
    """So many workers, each with so many CPUs and GPUs of one node.

    Attributes:
        workers: their number.
        cpus: that Ray reserves for each.
        gpus: that Ray reserves for each.
        cores: that each has in fact, where all workers of its node are alike.
    """

    workers: int
    cpus: float
    gpus: float
    cores: float


def share_out(nodes: Sequence[NodeRoom], workers: int | None, gpus: float) -> Share:
    """One worker on each GPU, or one on each node where they compute on CPUs.

    Args:
        nodes: of the cluster.
        workers: how many are asked for; ``None``: as many as that makes.
        gpus: of each worker; 0: it computes on CPUs.

    Raises:
        UsageError: there is no room for so many, or for one.
    """
    return _on_gpus(nodes, workers, gpus) if gpus else _on_cpus(nodes, workers)


def _on_gpus(nodes: Sequence[NodeRoom], workers: int | None, gpus: float) -> Share:
    room = {node: _workers_on(node, gpus) for node in nodes}
    most = sum(_workers_on(node, gpus) for node in nodes)
    if not most:
        raise UsageError(
            f"no node of the Ray cluster has {gpus:g} GPUs",
            "camtui run --executor ray --device cpu",
        )
    if workers is not None and workers > most:
        raise UsageError(
            f"--workers {workers}: the Ray cluster has room for {most} with {gpus:g} GPUs each",
            f"--workers {most}",
        )
    cpus = min(node.cpus / count for node, count in room.items() if count)
    return Share(workers or most, min(1.0, _portion(cpus)), gpus, _portion(cpus))


def _workers_on(node: NodeRoom, gpus: float) -> int:
    """Number of workers on a node, as Ray places them: less than one GPU never spans two."""
    if gpus < 1:
        return int(node.gpus) * int(1 / gpus + 1e-6)
    return int(node.gpus / gpus + 1e-6)


def _on_cpus(nodes: Sequence[NodeRoom], workers: int | None) -> Share:
    usable = [node.cpus for node in nodes if node.cpus > 0]
    if not usable:
        raise UsageError(
            "no node of the Ray cluster has a CPU to give", "ray start with --num-cpus"
        )
    count = workers or len(usable)
    cpus = _portion(min(usable) / math.ceil(count / len(usable)))
    return Share(count, cpus, 0.0, cpus)


def _portion(cpus: float) -> float:
    """Round down to whole CPUs, or to hundredths below one, as Ray requires."""
    return float(math.floor(cpus)) if cpus >= 1 else math.floor(cpus * 100) / 100
