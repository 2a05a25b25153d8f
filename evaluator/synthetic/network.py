"""The classifier of the synthetic images, with either of two heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 64
"""Height and width of its input in pixels."""

MEAN, STD = 0.5, 0.25
"""Of each channel, as it is normalised."""

TARGET_LAYER = "features"
"""``[n, 48, 8, 8]``; each position sees 45 × 45 pixels of the input."""

_CHANNELS = 48


def features() -> nn.Sequential:
    """``[n, 3, 64, 64]`` → ``[n, 48, 8, 8]``, not negative."""
    return nn.Sequential(
        *_block(3, 16, stride=2),
        *_block(16, 32),
        nn.MaxPool2d(2),
        *_block(32, 48),
        *_block(48, 48),
        nn.MaxPool2d(2),
        *_block(48, _CHANNELS),
    )


def _block(channels_in: int, channels_out: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(channels_out), nn.ReLU()


class SyntheticCNN(nn.Module):
    """A VGG-like head: positions are pooled to 4 × 4 and flattened, then two linear layers.

    On this head the gradient differs from position to position, so that Grad-CAM, XGrad-CAM and
    LayerCAM are different maps.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = features()
        self.pool = nn.MaxPool2d(2)
        self.classifier = nn.Sequential(
            nn.Linear(_CHANNELS * 16, 48), nn.ReLU(), nn.Linear(48, classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """``[n, 3, 64, 64]`` → logits ``[n, C]``."""
        return self.classifier(torch.flatten(self.pool(self.features(images)), 1))  # type: ignore[no-any-return]  # a module's call is Any


class SyntheticGAP(nn.Module):
    """Global average pooling and one linear layer, on which CAM is defined."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = features()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(_CHANNELS, classes)

    def forward(self, images: Tensor) -> Tensor:
        """``[n, 3, 64, 64]`` → logits ``[n, C]``."""
        return self.classifier(torch.flatten(self.pool(self.features(images)), 1))  # type: ignore[no-any-return]  # a module's call is Any


NETWORKS: dict[str, type[SyntheticCNN] | type[SyntheticGAP]] = {
    "synthetic_cnn": SyntheticCNN,
    "synthetic_gap": SyntheticGAP,
}
"""By the name of the backbone."""
