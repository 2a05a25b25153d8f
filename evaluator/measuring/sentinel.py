"""A sentinel image: asked again now and then while a run goes on, its answer must stay as it was.

What a network does to its answers slowly, or only in large batches, no check at load sees: counters
and running averages, a rare random draw, control flow by the size of the batch. Every so often two
images are forwarded together: the sentinel, whose logits are those of the first time, and one of
the unit that was just computed, whose confidence stands in its row, from a batch of other images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evaluator.errors import UnstableAnswer
from evaluator.networks.agreement import REPEAT, apart, depends_on_others, differs_each_time
from evaluator.networks.network import Arithmetic, Network
from evaluator.records import ImageRef, Row

FORWARDS = 2
"""Images of one check: the sentinel and another."""

EVERY = 400
"""Forwards between two checks, which are 0.5 % of them; the first one comes with the first unit."""

REPEATED: dict[Arithmetic, float] = {"fp32": REPEAT, "bf16": 2e-2}
"""Largest difference of the sentinel's logits, in parts of the largest: the same images in a batch
of the same size differ by nothing on a CPU, and by rounding where a batch had to be halved.
"""

CONFIDENCE: dict[Arithmetic, float] = {"fp32": 5e-3, "bf16": 0.25}
"""Largest difference of a confidence between batches of other sizes. ``ROUNDING`` of a logit
of 10 moves it by 1.5e-3; bfloat16 has moved single images by 0.14.
"""


class Sentinel:
    """The check of one loaded network.

    Attributes:
        forwards: images that its checks took so far.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._image: Tensor | None = None
        self._logits: Tensor | None = None
        self._due = network.forwards
        self.forwards = 0

    def check(self, refs: Sequence[ImageRef], images: Tensor, rows: Sequence[Row]) -> None:
        """Ask the sentinel again, where that is due.

        Args:
            refs: the images of a unit, ``images``: ``[n, channels, H, W]``, normalised.
            rows: that were computed of them; none where something else was.

        Raises:
            UnstableAnswer: an answer has changed.
        """
        if self._network.forwards < self._due or not len(refs):
            return
        first = self._image is None
        if self._image is None:
            self._image = images[:1].clone()
        pair = torch.cat([self._image, images[-1:]])
        before = self._network.forwards
        logits = self._network.observe(len(pair), lambda start, stop: pair[start:stop]).logits
        self._network.forwards = before  # the unit's are its own
        self.forwards += FORWARDS
        self._due = before + (2 * EVERY if first else EVERY)
        if self._logits is None:
            self._logits = logits[:1].clone()
        arithmetic = self._network.arithmetic(channel_scoring=False)
        changed = apart(logits[:1], self._logits)
        if changed > REPEATED[arithmetic]:
            raise _while_it_ran(differs_each_time(changed))
        places = ((0, refs[0].id), (1, refs[-1].id)) if first else ((1, refs[-1].id),)
        for place, image in places:
            row = next((row for row in rows if row.image == image), None)
            if row is None:
                continue
            target = torch.tensor([row.target], device=logits.device)
            y = float(self._network.confidence(logits[place : place + 1], target)[0])
            if abs(y - row.y) > CONFIDENCE[arithmetic]:
                raise _while_it_ran(
                    depends_on_others(
                        f"image {image} has a confidence of {row.y:.4f} in its row and of {y:.4f} "
                        "in another batch, a moment later"
                    )
                )


def _while_it_ran(error: UnstableAnswer) -> UnstableAnswer:
    return UnstableAnswer(f"while it ran, {error.message}", error.hint)
