"""Values of the optional metrics that have a ``measure``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from evaluator.catalog import formula as formula_of
from evaluator.catalog import metric as metric_of
from evaluator.measuring.method_calls import call_metric
from evaluator.measuring.probing import MapProbe, ProbedImages
from evaluator.measuring.stored_maps import MapOfImage, saliency_of
from evaluator.metrics.base import PROTOCOL, Explained, MetricSettings
from evaluator.networks.network import Network
from evaluator.networks.transfer import to_device


def measured(
    metric: str,
    maps: Sequence[MapOfImage],
    network: Network,
    *,
    settings: MetricSettings = PROTOCOL,
    truths: Sequence[Tensor] = (),
    probed: ProbedImages | None = None,
) -> list[float]:
    """Compute one number for each map, in their order.

    Args:
        metric: the key of a metric whose file has ``measure``.
        maps: of any methods, made on one network; they carry the values of ``Metric.of``.
        settings: choices of the protocol.
        truths: for metrics that need it, the object's pixels for each map, ``[H, W]`` bool.
        probed: for metrics that need it, the images that the maps are of.
    """
    if metric_of(metric).forwards and len({one.identity for one in maps}) < len(maps):
        first = {one.identity: one for one in reversed(maps)}
        distinct = measured(metric, list(first.values()), network, settings=settings, probed=probed)
        value_of = dict(zip(first, distinct, strict=True))
        return [value_of[one.identity] for one in maps]
    formula = formula_of(metric)
    found: list[Tensor] = []
    order: list[int] = []
    for places in _by_method(maps):
        mine = [maps[place] for place in places]
        explained = Explained(
            *_confidences(mine, network),
            saliency_of(mine, network),
            values={key: _values(mine, key, network) for key in metric_of(metric).of},
            truth=torch.stack([truths[place] for place in places]) if truths else None,
            probe=MapProbe(probed, mine) if probed else None,
            settings=settings,
        )
        values = call_metric(metric, formula.measure, explained)
        found.append(values.to(explained.clean).expand_as(explained.clean))
        order += places
    numbers = torch.cat(found).cpu().tolist() if found else []
    value_at: dict[int, float] = dict(zip(order, numbers, strict=True))
    return [value_at[place] for place in range(len(maps))]


def _by_method(maps: Sequence[MapOfImage]) -> list[list[int]]:
    """The places of each method's maps."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(maps):
        places[one.method].append(place)
    return list(places.values())


def _confidences(maps: Sequence[MapOfImage], network: Network) -> tuple[Tensor, Tensor]:
    """``y_c`` and ``o_c``."""
    return _column([one.stored.y for one in maps], network), _column(
        [one.stored.o for one in maps], network
    )


def _values(maps: Sequence[MapOfImage], key: str, network: Network) -> Tensor:
    """A metric that each map's image has a value of."""
    return _column([dict(one.stored.measured)[key] for one in maps], network)


def _column(values: list[float], network: Network) -> Tensor:
    return to_device(torch.tensor(values, dtype=torch.float64), network.device)
