"""What the checks at load cost, and how far two ways to compute the same network are apart.

``python benchmarks/agreement.py [BACKBONE …]``: for each, the CPU seconds of a load and the share
of its checks, and the largest difference of a logit in parts of the largest between the network
that runs and the plain model (in a batch of two, and alone), and of bfloat16. The tolerances of
``evaluator.networks.agreement`` lie well above these.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from evaluator.backbones import parse_backbone
from evaluator.networks import agreement, backbone_loading, network
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.network import Network

USUAL = (
    "efficientnet_lite0:weights=random:0",
    "resnet50:weights=random:0",
    "vit_b_16:weights=random:0",
)

_apart = agreement.apart
_seconds: list[float] = []
_found: list[float] = []


def _timed(function: Any) -> Any:
    def call(*arguments: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*arguments)
        finally:
            _seconds.append(time.process_time() - begun)

    return call


def _noted(found: torch.Tensor, expected: torch.Tensor) -> float:
    _found.append(_apart(found, expected))
    return _found[-1]


def main() -> None:
    """One line for each backbone."""
    for module in (agreement, network):
        setattr(module, "apart", _noted)  # noqa: B010 - names of its own, to mypy
    for name in ("plain_answer", "departure"):
        setattr(backbone_loading, name, _timed(getattr(backbone_loading, name)))
    print(f"{'backbone':<44} load s  checks    beside     alone  bfloat16")
    for text in sys.argv[1:] or USUAL:
        _seconds.clear()
        _found.clear()
        begun = time.process_time()
        backbone = load_backbone(parse_backbone(text))
        taken, checks = time.process_time() - begun, sum(_seconds)
        beside, alone = _found[-2:]
        _found.clear()
        Network(backbone, device=torch.device("cpu"), precision="mixed")
        figures = "".join(f"{one:>10.1e}" for one in (beside, alone, max(_found, default=0.0)))
        said = f"  {backbone.facts.remarks}" if backbone.facts.remarks else ""
        print(f"{text:<44} {taken:>6.2f} {checks / taken:>6.1%}{figures}{said}", flush=True)


if __name__ == "__main__":
    main()
