"""What methods see: ``methods.base.View``, one pass over a batch of images, and ``ImageView``.

``BatchView`` is for a CAM method, ``ImageBatch``, with the whole network, for an image method.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from evaluator.errors import NoGradient, UsageError
from evaluator.measuring.curve_tracing import blurred
from evaluator.measuring.inputs import Field, Noise, generator, shown_of
from evaluator.measuring.saliency import min_max, upsample
from evaluator.methods.base import (
    REFERENCES,
    Attention,
    BiasGradient,
    BlockScore,
    ChannelMasks,
    Shown,
    WholeNetwork,
)
from evaluator.networks.device import to_device
from evaluator.networks.global_state import in_own_settings
from evaluator.networks.network import DIFFERENTIATED, GRADIENT_COST, Network, Observation

_POOLED_AT_ONCE = 4096
"""Rows of pooled activations in one product with the linear layer: 33 MB of logits in float64 with
a thousand classes.
"""


class BatchView:
    """B images with the activation and logits that the network had for them.

    Args:
        images: makes ``[B, channels, H, W]``, normalised, when a pass needs them again: most
            methods need none.
        targets: ``[B]``, the class that is explained.
        noise_keys: ``B`` strings of bytes; an image's noise is a function of its key, the name and
            the step, nothing else.
        source: where noise comes from; drawn when it is asked for, unless given.
    """

    def __init__(
        self,
        network: Network,
        images: Callable[[], Tensor],
        observed: Observation,
        targets: Tensor,
        noise_keys: Sequence[bytes],
        source: Noise | None = None,
    ) -> None:
        self._network = network
        self._make_images = images
        self._noise_keys = noise_keys
        self._source = source or Noise()
        self._last_noise: tuple[tuple[str, int, int], Tensor, int] | None = None
        self._writes: dict[str, int] = {}
        self._observed = observed
        self.activation = self._noted("activation", observed.activation)
        self.logits = self._noted("logits", observed.logits)
        self.targets = self._noted("targets", targets)

    @cached_property
    def _images(self) -> Tensor:
        return self._make_images()

    def overwritten(self) -> list[str]:
        """Name the tensors read by methods that have been written to in place; without a wait."""
        return [
            name
            for name, written in self._writes.items()
            if self.__dict__[name]._version != written
        ]

    def renewed(self, targets: Tensor) -> BatchView:
        """Repeat the pass, if a method has overwritten something of it.

        Args:
            targets: as they were.
        """
        if not self.overwritten():
            return self
        images = self._make_images()
        observed = self._network.observe(len(images), lambda start, stop: images[start:stop])
        return BatchView(
            self._network,
            self._make_images,
            observed,
            targets.clone(),
            self._noise_keys,
            self._source,
        )

    def _noted(self, name: str, made: Tensor) -> Tensor:
        """Note how often a tensor that methods read has been written to so far."""
        self._writes[name] = made._version
        return made

    @property
    def gap_linear(self) -> bool:
        """Whether the head is global average pooling and one linear layer."""
        return self._network.backbone.gap_linear

    @cached_property
    @in_own_settings
    def gradient(self) -> Tensor:
        """``∂s_c/∂A``, ``[B, K, h, w]``; ``[B, K, 1, 1]`` on GAP + linear heads."""
        return self._noted("gradient", self._network.gradient(self._observed, self.targets))

    @in_own_settings
    def gradient_of(self, class_weights: Tensor) -> Tensor:
        """``∂(Σ_d w_d s_d)/∂A``, ``[B, K, h, w]``; ``[B, K, 1, 1]`` on GAP + linear heads."""
        return self._network.gradient_of(self._observed, class_weights)

    @in_own_settings
    def hessian_product(self, vector: Tensor) -> Tensor:
        """Compute ``H·v`` with ``H = ∂²s_c/∂A²``, ``[B, K, h, w]``.

        ``[B, K, 1, 1]`` zeros on GAP + linear heads.
        """
        return self._network.hessian_product(self._observed, self.targets, vector)

    @cached_property
    @in_own_settings
    def normalised_activation(self) -> Tensor:
        """Min-max of every channel, ``[B, K, h, w]``."""
        return self._noted("normalised_activation", min_max(self.activation))

    @cached_property
    @in_own_settings
    def live_channels(self) -> Tensor:
        """Channels that are not constant, ``[B, K]`` bool."""
        return self._noted("live_channels", self.normalised_activation.amax((2, 3)) > 0)

    @property
    def class_weights(self) -> Tensor:
        """``W[c]``, ``[B, K]``."""
        linear = self._network.backbone.linear
        assert linear is not None, "the pipeline asks applicability first"
        return linear.weight[self.targets]

    @property
    @in_own_settings
    def confidence(self) -> Tensor:
        """The score of the target, ``[B]``, float64."""
        return self._network.confidence(self.logits, self.targets)

    @in_own_settings
    def head(self, activation: Tensor, rows: Tensor) -> Tensor:
        """Run the head: ``[n, K, h, w]`` → logits ``[n, C]``.

        ``rows`` ``[n]``: the image of the batch that each is a change of.
        """
        return self._network.head(activation, self.context(rows))

    def context(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Select the head's other inputs for some images; empty for most networks."""
        return tuple(one[rows] for one in self._observed.context)

    @in_own_settings
    def masked_confidence(self, masks: Tensor) -> Tensor:
        """Compute ``softmax(head(A ⊙ m))_c``, ``[B, M]``.

        The head runs on no more of them at once than the network on images.
        """
        images, count = len(self.activation), len(masks)
        image = torch.arange(images, device=masks.device).repeat_interleave(count)
        mask = torch.arange(count, device=masks.device).repeat(images)
        logits, size = self._masked_heads(masks)
        parts = zip(torch.split(image, size), torch.split(mask, size), strict=True)
        scores = [
            self._network.confidence(logits(rows, which), self.targets[rows])
            for rows, which in parts
        ]
        return torch.cat(scores).view(images, count).float()

    def _masked_heads(self, masks: Tensor) -> tuple[Callable[[Tensor, Tensor], Tensor], int]:
        """Return logits as a function of image and mask ``[n]``, and its batch size.

        Behind global average pooling a mask is a product.
        """
        linear = self._network.backbone.linear
        if linear is None:
            size = self._network.batch_sizes["fp32"]
            return lambda rows, which: self.head(
                self.activation[rows] * masks[which, None], rows
            ), size
        pooled = (
            torch.einsum("bkp,mp->bmk", self.activation.flatten(2), masks.flatten(1))
            / masks[0].numel()
        )
        return lambda rows, which: linear(pooled[rows, which]), _POOLED_AT_ONCE

    @in_own_settings
    def attention(
        self,
        combine: Callable[[Attention], Tensor],
        *,
        gradients: bool = False,
        score: BlockScore = "",
    ) -> Tensor:
        """Apply ``combine`` to the attention of the images, a batch at a time: ``[B, …]``."""
        size = self._network.batch_sizes["fp32"]
        size = max(1, size // DIFFERENTIATED) if gradients else size
        return torch.cat(
            [
                combine(self._network.attention(images, targets, gradients=gradients, score=score))
                for images, targets in zip(
                    torch.split(self._images, size), torch.split(self.targets, size), strict=True
                )
            ]
        )

    @in_own_settings
    def baseline_confidence(self) -> Tensor:
        """Return the score of the target on the zero image, ``[B]``."""
        return self._network.baseline_confidence()[self.targets]

    @in_own_settings
    def channel_scores(
        self,
        mask: Callable[[ChannelMasks], Tensor] | None = None,
        *,
        passes: int = 1,
        logits: bool = False,
    ) -> Tensor:
        """Measure the mean score through each live channel's mask, ``[B, K]``.

        Forwards are filled across the images of the batch.
        """
        live = self.live_channels.cpu()  # the host must know them: they are its plan of passes
        image_of, places = (one.tolist() for one in live.nonzero(as_tuple=True))
        rows, channels = (
            to_device(torch.tensor(one, dtype=torch.long), self._network.device)
            for one in (image_of, places)
        )
        scores = torch.zeros(
            self.activation.shape[:2], dtype=torch.float64, device=self.activation.device
        )
        for step in range(passes):

            def seen(start: int, stop: int, step: int = step) -> Tensor:
                row, one = rows[start:stop], image_of[start] == image_of[stop - 1]
                low = self.normalised_activation[row, channels[start:stop]]
                values = upsample(low, self._network.side, self._network.side)[:, None]
                images = self._images[image_of[start], None] if one else self._images[row]
                return images * (mask(ChannelMasks(values, row, step)) if mask else values)

            for part in self._network.passes(len(rows), seen, channel_scoring=True):
                row, channel = rows[part.start : part.stop], channels[part.start : part.stop]
                targets = self.targets[row]
                read = _logit if logits else self._network.confidence
                scores[row, channel] += read(part.logits, targets) / passes
        return scores.float()

    @in_own_settings
    def noise(self, name: str, step: int, channels: int | None = None) -> Tensor:
        """Draw standard normal noise ``[B, channels, H, W]``, the same for every device."""
        channels = channels or self._network.input_shape[0]
        wanted = (name, step, channels)
        if self._last_noise is not None:
            drawn_for, noise, written = self._last_noise
            if drawn_for == wanted and noise._version == written:
                return noise
        shape = (channels, self._network.side, self._network.side)
        drawn = self._source.of(Field(tuple(self._noise_keys), name, step, shape))
        noise = to_device(drawn, self._network.device)
        self._last_noise = (wanted, noise, noise._version)
        return noise

    @in_own_settings
    def uniform(self, name: str, count: int) -> Tensor:
        """Draw random numbers in [-1, 1), ``[B, count]``, on the CPU as the noise is."""
        drawn = [torch.rand(count, generator=generator(key, name, 0)) for key in self._noise_keys]
        return to_device(2 * torch.stack(drawn) - 1, self._network.device)

    @in_own_settings
    def perturbed(self, name: str, step: int, sigma: float) -> BatchView:
        """Run the pass over ``x + σ·noise(name, step)``, same targets."""
        noise = self.noise(name, step)

        def noisy(start: int, stop: int) -> Tensor:
            return self._images[start:stop] + sigma * noise[start:stop]

        count = len(noise)
        observed = self._network.observe(count, noisy)
        return BatchView(
            self._network,
            lambda: noisy(0, count),
            observed,
            self.targets,
            self._noise_keys,
            self._source,
        )

    @property
    def image(self) -> ImageBatch:
        """The same images for a method that asks the whole network."""
        return ImageBatch(
            self._network,
            self._images.clone(),
            self.targets,
            self.logits,
            self.activation,
            self.noise,
            self.uniform,
            [shown_of(key) for key in self._noise_keys],
        )

    def towards(self, targets: Tensor) -> BatchView:
        """Return the same pass with other classes to explain."""
        seen = Observation(self.activation, self.logits, self._observed.context)
        return BatchView(
            self._network, lambda: self._images, seen, targets, self._noise_keys, self._source
        )


def _logit(logits: Tensor, targets: Tensor) -> Tensor:
    """``s_c``, ``[n]``."""
    return logits.gather(1, targets[:, None])[:, 0]


class ImageBatch:
    """B images with what is known of them.

    Args:
        images: ``[B, channels, H, W]``, normalised, for this method alone.
        targets: ``[B]``; ``logits``: ``[B, C]``; ``activation``: ``[B, K, h, w]``.
        noise, uniform: those of ``BatchView``.
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
