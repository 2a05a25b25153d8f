"""The networks for the synthetic images, and the training of the weights that the package ships.

``python -m evaluator.synthetic.train synthetic_cnn -o FILE.safetensors``.

Seeded, and on one thread: the same machine and version of torch give the same weights, whatever
else runs on it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from evaluator.synthetic.scene import CLASSES, World, draw, scene

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
    "synthetic_cnn_marks": SyntheticCNN,
    "synthetic_gap_marks": SyntheticGAP,
}
"""By the name of the backbone."""


def world_of(name: str) -> World:
    """The world whose images a network of ``NETWORKS`` is trained on."""
    return "marks" if name.endswith("_marks") else "shapes"


TRAINING_SEED = 1_000_003
"""Of the images for training; ``UNSEEN_SEED``: of those for testing. ``camtui synth`` begins at 0.
"""
UNSEEN_SEED = 1_000_033

_BATCH = 64
_RATE = 4e-3


class Examples(NamedTuple):
    """``images``: ``[n, 3, 64, 64]``, normalised; ``labels``: ``[n]``."""

    images: Tensor
    labels: Tensor


def examples(
    seed: int, count: int, *, world: World = "shapes", with_object: bool = True
) -> Examples:
    """The first images of a synthetic data set.

    Args:
        with_object: ``False`` leaves the evidence out and keeps the labels.
    """
    scenes = [scene(seed, index, world) for index in range(count)]
    pixels = np.stack([draw(one, SIDE, with_object=with_object).pixels for one in scenes])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255).sub_(MEAN).div_(STD)
    return Examples(images, torch.tensor([one.label for one in scenes]))


def trained(name: str, given: Examples, *, epochs: int, seed: int) -> nn.Module:
    """A network of ``NETWORKS`` after so many passes over the examples, in evaluation mode."""
    torch.manual_seed(seed)
    model = NETWORKS[name](len(CLASSES)).to(memory_format=torch.channels_last)
    steps = epochs * -(-len(given.labels) // _BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(given.labels)), _BATCH):
            optimiser.zero_grad()
            images = given.images[batch].contiguous(memory_format=torch.channels_last)
            loss(model(images), given.labels[batch]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def accuracy(model: nn.Module, given: Examples) -> float:
    """Share of the examples whose class the network names."""
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in torch.split(given.images, 256)])
    return float((found == given.labels).double().mean())


def main(words: Sequence[str] | None = None) -> None:
    """Train, test on images that were not seen, write the weights, say how it went."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluator.synthetic.train", description=__doc__
    )
    parser.add_argument("name", choices=sorted(NETWORKS))
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the weights, a .safetensors file"
    )
    parser.add_argument("--images", type=int, default=8_000, help="to train on")
    parser.add_argument("--unseen", type=int, default=2_000, help="to test on")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first weights and the order of the images"
    )
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    begun = process_time()
    world = world_of(asked.name)
    given = examples(TRAINING_SEED, asked.images, world=world)
    drawn = process_time() - begun
    model = trained(asked.name, given, epochs=asked.epochs, seed=asked.seed)
    took = process_time() - begun
    correct = accuracy(model, examples(UNSEEN_SEED, asked.unseen, world=world))
    facts = {
        "classes": json.dumps(CLASSES),
        "accuracy": f"{correct:.4f} on {asked.unseen} unseen images",
    }
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(
        state,
        asked.output,
        {
            **facts,
            "images": str(asked.images),
            "epochs": str(asked.epochs),
            "seed": str(asked.seed),
        },
    )
    seconds = f"{took:.0f} s of one core, {drawn:.0f} of them drawing"
    print(f"{asked.name}: {seconds}; {100 * correct:.2f} % of {asked.unseen} unseen images")


if __name__ == "__main__":
    main()
