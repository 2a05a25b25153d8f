"""Peak host memory of an evaluation beyond what the network itself takes for one batch.

Each figure is a process of its own: the network is loaded and sees one batch, then the rows of one
image (of 16 for the gradient family) are made; the peak of the second beyond that of the first is
what methods, masks and metrics add.

    # ResNet-50 (2048 channels), 4 minutes
    python benchmarks/memory.py --data ../shared/imagenet-sample
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine_line, write_json

_GROUPS = {
    "gradient family": "fakecam,gradcam,xgradcam,gradcampp,smoothgradcampp,layercam,ablationcam",
    "scorecam": "scorecam",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbones", default="resnet50")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        backbone, methods = options.child.split(" ")
        print(json.dumps(peaks(options.data, backbone, methods, options.precision)))
        return
    print(f"{options.precision}, {machine_line()}")
    results = []
    for backbone in options.backbones.split(","):
        for group, methods in _GROUPS.items():
            command = [
                sys.executable,
                __file__,
                "--data",
                str(options.data),
                "--precision",
                options.precision,
                "--child",
                f"{backbone} {methods}",
            ]
            found = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
            results.append({"backbone": backbone, "group": group, **found})
            beyond = found["peak"] - found["network"]
            print(
                f"  {backbone:18} {group:16} network {found['network']:5.2f} GB   peak "
                f"{found['peak']:5.2f} GB"
                f"   beyond {beyond:5.2f} GB"
            )
    write_json(options, results)


def peaks(data: Path, backbone: str, methods: str, precision: Any) -> dict[str, float]:
    """GB: after one batch through the network, and after the rows of one unit."""
    import torch

    from evaluator.backbones import BackboneSpec
    from evaluator.images import find_images
    from evaluator.interfaces import SessionSettings
    from evaluator.measuring.session import open_session
    from evaluator.plan import RunPlan, validated
    from evaluator.records import Unit

    names = tuple(methods.split(","))
    spec = BackboneSpec(backbone, "default" if backbone == "efficientnet_lite0" else "random:0")
    plan = validated(RunPlan(str(data), (spec,), names, precision=precision))
    images = find_images(data, seed=0, limit=1 if "scorecam" in names else 16)
    session = open_session(SessionSettings(plan, str(images.root)))
    session.load(0)
    assert session._loaded is not None
    network = session._loaded.network
    for channel_scoring in (False, True):
        network.forward(
            torch.randn(16, 3, network.side, network.side), channel_scoring=channel_scoring
        )
    before = _peak()
    session.evaluate(Unit(0, 0, 0, tuple(range(len(names))), names, images.images))
    session.close()
    return {"network": before, "peak": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
