"""Deletion's frames: the most salient pixels become empty in all channels together, nothing else
changes.
"""

from __future__ import annotations

import torch

from evaluator.metrics import deletion
from evaluator.metrics.curves import pixel_ranks


def test_frames_by_hand() -> None:
    image = torch.arange(1.0, 13.0).view(1, 3, 2, 2)
    ranks = pixel_ranks(torch.tensor([[[0.1, 0.9], [0.9, 0.2]]]))
    frames = deletion.frame(
        image.expand(3, -1, -1, -1),
        torch.zeros(3, 3, 2, 2),
        ranks.expand(3, -1, -1),
        torch.tensor([1, 2, 3]),
    )
    assert frames[0].tolist() == [[[1, 0], [3, 4]], [[5, 0], [7, 8]], [[9, 0], [11, 12]]]
    assert frames[1].tolist() == [[[1, 0], [0, 4]], [[5, 0], [0, 8]], [[9, 0], [0, 12]]]
    assert frames[2].tolist() == [[[1, 0], [0, 0]], [[5, 0], [0, 0]], [[9, 0], [0, 0]]]


def test_begins_whole_and_ends_empty() -> None:
    whole, empty = torch.tensor([0.9]), torch.tensor([0.1])
    assert deletion.ends(whole, empty) == (whole, empty)
    assert (deletion.METRIC.better, deletion.METRIC.arrow) == ("lower", "↓")
