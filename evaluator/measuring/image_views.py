"""``methods.base.ImageView``: a batch of images and the whole network, for an image method."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from evaluator.errors import NoGradient, UsageError
from evaluator.measuring.curve_tracing import blurred
from evaluator.measuring.saliency import upsample
from evaluator.methods.base import REFERENCES, BiasGradient, Shown, WholeNetwork
from evaluator.networks.device import to_device
from evaluator.networks.global_state import in_own_settings
from evaluator.networks.network import GRADIENT_COST, Network


class ImageBatch:
    """B images with what is known of them.

    Args:
        images: ``[B, channels, H, W]``, normalised, for this method alone.
        targets: ``[B]``; ``logits``: ``[B, C]``; ``activation``: ``[B, K, h, w]``.
        noise, uniform: those of ``views.BatchView``.
        shown: which images of the data set these are.
    """

    def __init__(
        self,
        network: Network,
        images: Tensor,
        targets: Tensor,
        logits: Tensor,
        activation: Tensor,
        noise: Callable[[str, int], Tensor],
        uniform: Callable[[str, int], Tensor],
        shown: Sequence[Shown] = (),
    ) -> None:
        self._network = network
        self.images = images
        self.targets = targets
        self.logits = logits
        self.activation = activation
        self.noise = noise
        self.uniform = uniform
        self.shown = shown

    @in_own_settings
    def reference(self, kind: str) -> Tensor:
        """Make the images that show nothing, ``[B, channels, H, W]``.

        Raises:
            UsageError: there is no such reference.
        """
        if kind not in REFERENCES:
            raise UsageError(f"no reference '{kind}'", f"one of {', '.join(REFERENCES)}")
        if kind == "blur":
            return blurred(self.images, "blur")
        nothing = torch.zeros_like(self.images)
        if kind == "zero":
            return nothing
        seen = self._network.backbone.facts.preprocessing
        black = -torch.tensor(seen.mean) / torch.tensor(seen.std)
        return nothing + to_device(black[:, None, None], nothing.device)

    @in_own_settings
    def scores(
        self,
        make: Callable[[int, int], Tensor],
        count: int,
        rows: Tensor,
        *,
        logits: bool = False,
    ) -> Tensor:
        """Measure the score of the target on changed images, ``[count]``, float64."""
        found = torch.empty(count, dtype=torch.float64, device=self.images.device)
        for part in self._network.passes(count, make):
            targets = self.targets[rows[part.start : part.stop]]
            found[part.start : part.stop] = (
                part.logits.gather(1, targets[:, None])[:, 0].double()
                if logits
                else self._network.confidence(part.logits, targets)
            )
        return found

    @in_own_settings
    def gradient(
        self,
        make: Callable[[int, int], Tensor],
        count: int,
        rows: Tensor,
        *,
        weights: Tensor | None = None,
        each: Callable[[Tensor, int, int], Tensor] | None = None,
    ) -> Tensor:
        """Differentiate the target's logit by changed images, ``[count, channels, H, W]``.

        With ``weights`` their sum for each image, ``[B, channels, H, W]``, added up one by one: its
        order does not depend on batches.
        """
        found: list[Tensor] = []
        sums: list[Tensor | None] = [None] * len(self.images)
        owners = rows.tolist()
        for start, stop, part in self._network.gradients(count, make, self.targets[rows]):
            kept = part if each is None else each(part, start, stop)
            if weights is None:
                found.append(kept)
                continue
            weighted = kept * _over(weights[start:stop], kept)
            for owner, one in zip(owners[start:stop], weighted, strict=True):
                before = sums[owner]
                sums[owner] = one if before is None else before + one
        if weights is None:
            return torch.cat(found)
        return torch.stack([one for one in sums if one is not None])

    @in_own_settings
    def differentiable(self, images: Tensor, rows: Tensor) -> Tensor:
        """Compute logits ``[n, C]`` that can be differentiated, counted with their backward.

        Raises:
            NoGradient: the network detaches what is behind its input.
        """
        self._network.forwards += GRADIENT_COST * len(images)
        with torch.enable_grad():
            logits = self._network.logits_of(images)
        if images.requires_grad and not logits.requires_grad:
            raise NoGradient(
                "no gradient reaches the image: the network detaches what is behind it",
                "take detach(), no_grad() and rounding out of its forward",
            )
        return logits

    @in_own_settings
    def upsample(self, values: Tensor, height: int = 0, width: int = 0) -> Tensor:
        """Upsample maps ``[n, h, w]``, to the side of the images by default."""
        return upsample(values, height or self.images.shape[2], width or self.images.shape[3])

    @in_own_settings
    def biases(self, combine: Callable[[Tensor, Sequence[BiasGradient]], Tensor]) -> Tensor:
        """Apply ``combine`` to the shares of input and biases, a batch at a time: ``[B, …]``."""
        return self._network.biases(self.images, self.targets, combine)

    @in_own_settings
    def relevance(self, composite: str) -> Tensor:
        """Propagate relevance from the target's logit to the images, ``[B, channels, H, W]``."""
        return self._network.relevance(self.images, self.targets, composite)

    def each(self, explain: Callable[[WholeNetwork, Tensor, Tensor], Tensor]) -> Tensor:
        """Explain every image alone on the network as its maker built it, ``[B, …]``."""
        backbone, model = self._network.backbone, self._network.built()
        whole = WholeNetwork(
            model,
            model.get_submodule(backbone.facts.layer),
            backbone.facts.layer,
            lambda raw: backbone.layout.to_map(raw)[0],
        )
        found = []
        counting = model.register_forward_hook(self._network.count)
        try:
            for place in range(len(self.images)):
                _seed(self.shown[place] if self.shown else Shown(b"", False))
                image = self.images[place : place + 1].detach().clone().contiguous()
                with torch.enable_grad():
                    one = explain(whole, image.requires_grad_(), self.targets[place : place + 1])
                found.append(one.detach().to(self.images))
        finally:
            counting.remove()
        model.zero_grad(set_to_none=True)
        return torch.cat(found)

    @in_own_settings
    def layers(self, names: Sequence[str] | None = None) -> dict[str, tuple[Tensor, Tensor]]:
        """Observe several layers and their gradients by one pass, name → ``[B, K, h, w]`` twice."""
        return self._network.layers(self.images, self.targets, names)


def _seed(shown: Shown) -> None:
    """Begin what a class of another library draws, from whichever source, at the image's seed."""
    digest = sha256(shown.path + bytes([shown.explanation])).digest()
    seed = int.from_bytes(digest[:4], "big")
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def _over(weights: Tensor, values: Tensor) -> Tensor:
    """Weights ``[n]`` to be multiplied with values ``[n, …]``."""
    return weights.to(values).view(-1, *[1] * (values.ndim - 1))
