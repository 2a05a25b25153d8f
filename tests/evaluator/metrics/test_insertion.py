"""Insertion's frames: the most salient pixels of the image on an empty one, in all channels
together.
"""

from __future__ import annotations

import torch

from evaluator.metrics import insertion
from evaluator.metrics.curves import pixel_ranks


def test_frames_by_hand() -> None:
    image = torch.arange(1.0, 13.0).view(1, 3, 2, 2)
    ranks = pixel_ranks(torch.tensor([[[0.1, 0.9], [0.9, 0.2]]]))
    frames = insertion.frame(
        image.expand(2, -1, -1, -1),
        torch.full((2, 3, 2, 2), -1.0),
        ranks.expand(2, -1, -1),
        torch.tensor([1, 3]),
    )
    assert frames[0].tolist() == [[[-1, 2], [-1, -1]], [[-1, 6], [-1, -1]], [[-1, 10], [-1, -1]]]
    assert frames[1].tolist() == [[[-1, 2], [3, 4]], [[-1, 6], [7, 8]], [[-1, 10], [11, 12]]]


def test_begins_empty_and_ends_whole() -> None:
    whole, empty = torch.tensor([0.9]), torch.tensor([0.1])
    assert insertion.ends(whole, empty) == (empty, whole)
    assert (insertion.METRIC.better, insertion.METRIC.arrow) == ("higher", "↑")
