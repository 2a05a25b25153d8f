"""Maps that a run has stored, as tensors again, to compute optional metrics from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from evaluator.measuring.method_calls import call_method, made_method
from evaluator.measuring.saliency import Saliency
from evaluator.methods.base import FixedMap
from evaluator.networks.network import Network
from evaluator.networks.transfer import to_device
from evaluator.records import StoredMap


class MapOfImage(NamedTuple):
    """A stored map, the place of its image among those of the unit, and its method's spec."""

    image: int
    method: str
    stored: StoredMap

    @property
    def identity(self) -> tuple[int, int, bytes | str]:
        """Key of what its curves depend on; a fixed map has no values, its method names it."""
        return (
            self.image,
            self.stored.target,
            self.method if self.stored.values is None else self.stored.values,
        )


def saliency_of(maps: Sequence[MapOfImage], network: Network) -> Saliency:
    """Make ``U`` of stored maps of one method on one network; a fixed map is one for all images."""
    made_by = made_method(maps[0].method)
    if isinstance(made_by, FixedMap):
        side = network.side
        rows = call_method(made_by, lambda: made_by.fixed_map(side, side))
        low = torch.tensor([rows], dtype=torch.float32)
    else:
        facts = network.backbone.facts
        values = bytearray(b"".join(one.stored.values or b"" for one in maps))
        low = torch.frombuffer(values, dtype=torch.float32).view(
            len(maps), facts.height, facts.width
        )
    return Saliency(to_device(low, network.device), network.side, network.side)
