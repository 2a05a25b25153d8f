"""``metrics.base.Probe``: the network that made some maps, asked again about their images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from evaluator.measuring.imputation import NOISE, impute
from evaluator.measuring.method_calls import call_method, made_method
from evaluator.measuring.noise import noise_field
from evaluator.measuring.pipeline import Pipeline
from evaluator.measuring.saliency import Saliency
from evaluator.measuring.stored_maps import MapOfImage
from evaluator.measuring.views import BatchView
from evaluator.networks.global_state import in_own_settings
from evaluator.networks.network import Network
from evaluator.networks.transfer import to_device

_NOISE_NAME = "imputation"
_NOISE_KEPT = 16
"""Images whose noise is kept for the next method: 5 MB each."""


class ProbedImages:
    """The images of a unit, with noise and contrast maps that all methods share.

    Args:
        images: ``[N, channels, H, W]``, normalised; ``noise_keys``: one for each, see
            ``views.BatchView``.
        road_noise: ``pixels`` or ``normalised``, see ``plan.RunPlan``.
    """

    def __init__(
        self,
        network: Network,
        pipeline: Pipeline,
        images: Tensor,
        noise_keys: Sequence[bytes],
        *,
        road_noise: str = "pixels",
    ) -> None:
        self.network = network
        self._in_pixels = road_noise == "pixels"
        self.images = images
        self._pipeline = pipeline
        self._noise_keys = noise_keys
        self._noise: dict[tuple[int, int], Tensor] = {}
        self._contrasts: dict[str, Saliency] = {}

    def noise(self, place: int, count: int) -> Tensor:
        """Draw noise for ``count`` versions of one image, the same for every method.

        Standard normal, ``[count, channels, H, W]``.
        """
        if (place, count) not in self._noise:
            key, channels, side = self._noise_keys[place], self.images.shape[1], self.network.side
            fields = [
                noise_field(key, _NOISE_NAME, step, (channels, side, side)) for step in range(count)
            ]
            while len(self._noise) >= _NOISE_KEPT:
                del self._noise[next(iter(self._noise))]
            self._noise[place, count] = to_device(torch.stack(fields), self.network.device)
        return self._noise[place, count]

    @cached_property
    def noise_scale(self) -> Tensor:
        """Standard deviation of the noise in each normalised channel, ``[channels, 1, 1]``.

        Noise of 0.01 added to pixels in [0, 1] is ``0.01 / std`` once they are normalised.
        """
        std = torch.tensor(self.network.backbone.facts.preprocessing.std)[:, None, None]
        scale = NOISE / std if self._in_pixels else torch.full_like(std, NOISE)
        return to_device(scale, self.network.device)

    @cached_property
    def _contrast_view(self) -> BatchView:
        """The clean pass with the least likely class as the target; shared by all methods."""
        observed = self.network.observe(
            len(self.images), lambda first, last: self.images[first:last]
        )
        return BatchView(
            self.network, lambda: self.images, observed, observed.logits.argmin(1), self._noise_keys
        )

    def contrast(self, method: str) -> Saliency:
        """The maps of one method for the least likely class, of all images."""
        made_by, gap_linear = made_method(method), self._contrast_view.gap_linear
        identity = call_method(made_by, lambda: made_by.map_identity(gap_linear))
        if identity not in self._contrasts:
            self._contrasts[identity] = self._pipeline.saliency(made_by, self._contrast_view)[0]
        return self._contrasts[identity]


class _Versions(NamedTuple):
    """The images imputed last, ``[1, M, channels, H, W]``: a batch may end inside a map."""

    map: int
    versions: Tensor


class MapProbe:
    """``metrics.base.Probe`` for the images of some maps of one method."""

    def __init__(self, probed: ProbedImages, maps: Sequence[MapOfImage]) -> None:
        self._probed = probed
        self._places = [one.image for one in maps]
        self._targets = to_device(
            torch.tensor([one.stored.target for one in maps]), probed.network.device
        )
        self._method = maps[0].method
        self._last: _Versions | None = None

    @in_own_settings
    def without(self, missing: Tensor) -> Tensor:
        """Measure the confidence without some pixels, ``[B, M, H, W]`` bool → ``[B, M]``.

        Forwards are filled across maps.
        """
        batch, masks = missing.shape[:2]

        def made(first: int, last: int) -> Tensor:
            begin, end = first // masks, -(-last // masks)
            return self._versions(missing, begin, end).flatten(0, 1)[
                first - begin * masks : last - begin * masks
            ]

        values = torch.empty(batch * masks, dtype=torch.float64, device=missing.device)
        targets = self._targets.repeat_interleave(masks)
        network = self._probed.network
        for part in network.passes(len(values), made):
            values[part.start : part.stop] = network.confidence(
                part.logits, targets[part.start : part.stop]
            )
        return values.view(batch, masks)

    def _versions(self, missing: Tensor, begin: int, end: int) -> Tensor:
        """Impute the images of some maps for each mask, ``[n, M, channels, H, W]``."""
        kept = self._last if self._last is not None and self._last.map == begin else None
        fresh = list(range(begin if kept is None else begin + 1, end))
        parts = [] if kept is None else [kept.versions]
        if fresh:
            places = [self._places[one] for one in fresh]
            holes = missing[fresh]
            noise = torch.stack([self._probed.noise(place, missing.shape[1]) for place in places])
            filled = impute(self._probed.images[places], holes)
            parts.append(filled + self._probed.noise_scale * noise * holes[:, :, None])
        versions = torch.cat(parts)
        self._last = _Versions(end - 1, versions[-1:])
        return versions

    @in_own_settings
    def least_likely(self) -> Saliency:
        """Make the maps of the same method for the class with the smallest logit."""
        whole = self._probed.contrast(self._method)
        return whole if len(whole.values) == 1 else whole.chosen(self._places)
