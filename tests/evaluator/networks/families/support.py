"""Backbones by what a user types, the code behind them allowed; and small networks of the user's
own in files.
"""

from __future__ import annotations

from evaluator import user_code
from evaluator.backbones import BackboneSpec, parse_backbone
from evaluator.networks.backbone_loading import Backbone, load_backbone
from evaluator.plan import RunPlan, validated
from evaluator.references import as_reference, as_spec
from evaluator.user_code import sources_of

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels=1, classes=5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        )
        self.fc = nn.Linear(16, classes)

    def forward(self, images):
        return self.fc(self.features(images).mean((2, 3)))


def build():
    return Net(), {"side": 32, "channels": 1, "mean": 0.5, "std": 0.25, "classes": list("abcde")}


def colour():
    return Net(3)


def one():
    return Net(3, 1), {"score": "sigmoid", "side": 32}


def several():
    return Net(3, 4), {"score": "sigmoid", "side": 32}


def raises():
    raise ValueError("no such table")


def table():
    return {"a": 1}


def wordy():
    return Net(), {"sides": 32}


def wrong():
    return Net(), {"side": "32"}


def listed():
    return Net(), ["a"]


def grey_and_three():
    return Net(), {"channels": 1, "side": 32, "mean": [0.1, 0.2, 0.3]}


class Dense(Net):
    def forward(self, images):
        return self.features(images)


standing = Net()
"""


def spec_of(text: str) -> BackboneSpec:
    """As a plan has it."""
    return validated(RunPlan("/data", (parse_backbone(text),), ("gradcam",))).backbones[0]


def loaded(text: str) -> Backbone:
    """The backbone, its code allowed as the command that names it would."""
    spec = spec_of(text)
    if as_spec(spec.key):
        reference = as_reference(spec.key)
        user_code.allow({reference.text: sources_of(reference).sha256})
    return load_backbone(spec)
