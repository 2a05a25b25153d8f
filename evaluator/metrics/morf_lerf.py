"""MoRF–LeRF: how far removing the most relevant pixels first is from removing the least."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric
from evaluator.metrics.curves import area_under_curve, inner_steps

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="morf_lerf",
    title="MoRF–LeRF",
    short="M–L",
    paper="Schulz et al., ICLR 2020",
    better="higher",
    definition="area between the confidence while the least and while the most salient pixels are "
    "set to zero first (LeRF − MoRF)",
    low=-1.0,
    of=("deletion",),
    sweeps=1,
)


def measure(explained: Explained) -> Tensor:
    """Compute the area between the two curves, in [−1, 1], higher is better.

    Samek et al., TNNLS 2017, arXiv:1509.06321, remove the most relevant pixels first (MoRF); Ancona
    et al., ICLR 2018, arXiv:1711.06104, set the least relevant ones (LeRF) beside it; the area
    between both as one number is that of Schulz et al., ICLR 2020, arXiv:2001.00396. MoRF is
    deletion, at whose steps and with whose removed state LeRF is traced. A map that orders pixels
    at random has 0 on average.

    Where the number of steps divides that of the pixels, as by default, LeRF is insertion from the
    empty image read backwards: the value is insertion less deletion.

    Args:
        explained: the maps, their deletion, and the network to be shown what is left.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.2, -0.14]
    """
    probe = explained.probe
    assert probe is not None
    ranks, images = explained.saliency.ranks(), probe.images
    pixels = ranks[0].numel()
    counts = [step.pixels for step in inner_steps(pixels, explained.settings.curve_steps)]

    def without(place: int, first: int, last: int) -> Tensor:
        kept = pixels - ranks.new_tensor(counts[first:last])[:, None, None]
        shown = ranks[place if len(ranks) > 1 else 0] < kept
        return images[place] * shown[:, None]

    inner = probe.confidence(without, len(counts))
    curve = inner.new_empty(len(inner), len(counts) + 2)
    curve[:, 0], curve[:, 1:-1], curve[:, -1] = explained.clean, inner, probe.baseline_confidence()
    return area_under_curve(curve) - explained.values["deletion"]
