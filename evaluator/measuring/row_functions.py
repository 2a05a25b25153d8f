"""Metrics on request that are functions of what a finished row has stored: its map and its two confidences; no forward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from evaluator.catalog import formula as formula_of
from evaluator.measuring.stored_maps import MapOfImage, saliency_of
from evaluator.metrics.base import Explained
from evaluator.networks.network import Network


def measured(metric: str, maps: Sequence[MapOfImage], network: Network) -> list[float]:
    """One number for each map, in their order.

    Args:
        metric: the key of a metric whose file has ``measure``.
        maps: of any methods, made on one network.
    """
    formula = formula_of(metric)
    places: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(maps):
        places[one.method].append(place)
    values = torch.empty(len(maps), dtype=torch.float64, device=network.device)
    for mine in places.values():
        explained = _explained([maps[place] for place in mine], network)
        values[mine] = formula.measure(explained).to(values).expand_as(explained.clean)
    numbers: list[float] = values.tolist()
    return numbers


def _explained(maps: Sequence[MapOfImage], network: Network) -> Explained:
    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=network.device)

    y, o = column([one.stored.y for one in maps]), column([one.stored.o for one in maps])
    return Explained(y, o, saliency_of(maps, network))
