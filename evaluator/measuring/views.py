"""``methods.base.View``: one pass over a batch of images as a CAM method sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from evaluator.measuring.image_views import ImageBatch
from evaluator.measuring.inputs import Field, Noise, generator, shown_of
from evaluator.measuring.saliency import min_max, upsample
from evaluator.methods.base import Attention, BlockScore, ChannelMasks
from evaluator.networks.device import to_device
from evaluator.networks.global_state import in_own_settings
from evaluator.networks.network import DIFFERENTIATED, Network, Observation

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
