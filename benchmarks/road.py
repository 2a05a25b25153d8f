"""ROAD of the same maps by camtui and by pytorch-grad-cam: time and agreement side by side.

Image by image, both are given the maps of six methods at 224 × 224 and the unmodified network, and
take turns in one process. The noise is added after the normalisation, as pytorch-grad-cam does with
the tensor that it is given. camtui's time holds the choice of the pixels, the noise, the imputation
and the forwards; pytorch-grad-cam's the same, for the percentiles 20, 40, 60 and 80. The noise of
pytorch-grad-cam is not seeded, so the values differ by it. It needs about ten seconds for a map:
images are added until ``--seconds`` have passed.

    python benchmarks/road.py --data ../shared/imagenet-sample --seconds 360
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from machine import machine_line, write_json
from peers import whole_network
from torch import Tensor

from evaluator.backbones import BackboneSpec
from evaluator.catalog import method as method_of
from evaluator.images import find_images
from evaluator.measuring.inputs import Loader, Normaliser
from evaluator.measuring.optional_metrics import ProbedImages, measured
from evaluator.measuring.pipeline import Batch, Pipeline
from evaluator.measuring.saliency import MapOfImage, saliency_of
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.device import keep_freed_blocks
from evaluator.networks.network import Network
from evaluator.records import StoredMap

METHODS = ("gradcam", "gradcampp", "smoothgradcampp", "ablationcam", "layercam", "eigencam")
PERCENTILES = [20, 40, 60, 80]


class Turn(NamedTuple):
    """One image: seconds and values of both, a value for each method."""

    ours: float
    theirs: float
    values: list[float]
    their_values: list[float]


def main() -> None:
    given = options()
    keep_freed_blocks()
    backbone = load_backbone(BackboneSpec("efficientnet_lite0"))
    network = Network(backbone, device=torch.device("cpu"), precision="fp32")
    model, _ = whole_network("efficientnet_lite0", "default")
    manifest = find_images(given.data, seed=0, limit=given.images)
    loader, wanted = Loader(manifest.root, threads=1), backbone.facts.preprocessing
    normalise, pipeline = Normaliser(wanted, network.device), Pipeline(network)
    print(machine_line(), flush=True)
    turns: list[Turn] = []
    begun = time.monotonic()
    for number, ref in enumerate(manifest.images):
        if time.monotonic() - begun > given.seconds:
            break
        image = normalise(loader.collect([ref], wanted).pixels)
        key = b"0\0" + ref.path
        scores = pipeline.rows(Batch(image, [key]), [method_of(spec) for spec in METHODS])
        maps = [
            MapOfImage(0, spec, StoredMap(of.target[0], of.y[0], of.o[0], of.maps[0]))
            for spec, of in scores.items()
        ]
        if not turns:  # one map warms up
            measured(
                "road",
                maps[:1],
                network,
                probed=ProbedImages(network, pipeline, image, [key], road_noise="normalised"),
            )
        turns.append(
            one_turn(network, pipeline, model, image, key, maps, ours_first=number % 2 == 0)
        )
        print(
            f"image {number + 1}: {turns[-1].ours:.1f} s, pytorch-grad-cam "
            f"{turns[-1].theirs:.1f} s",
            flush=True,
        )
    loader.close()
    report(turns, given)


def one_turn(
    network: Network,
    pipeline: Pipeline,
    model: Any,
    image: Tensor,
    key: bytes,
    maps: list[MapOfImage],
    *,
    ours_first: bool,
) -> Turn:
    before = network.forwards

    def ours() -> tuple[float, list[float]]:
        start = time.perf_counter()
        values = measured(
            "road",
            maps,
            network,
            probed=ProbedImages(network, pipeline, image, [key], road_noise="normalised"),
        )
        return time.perf_counter() - start, values

    def theirs() -> tuple[float, list[float]]:
        from pytorch_grad_cam.metrics.road import ROADCombined
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        road = ROADCombined(percentiles=PERCENTILES)
        pictures = [saliency_of([one], network).pixels().numpy() for one in maps]
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = [
                float(
                    np.asarray(
                        road(
                            image,
                            picture,
                            [ClassifierOutputSoftmaxTarget(one.stored.target)],
                            model,
                        )
                    )[0]
                )
                for one, picture in zip(maps, pictures, strict=True)
            ]
        return time.perf_counter() - start, values

    first, second = (ours(), theirs()) if ours_first else (theirs(), ours())
    mine, other = (first, second) if ours_first else (second, first)
    assert network.forwards - before == 8 * len(maps)
    return Turn(mine[0], other[0], mine[1], other[1])


def report(turns: list[Turn], given: argparse.Namespace) -> None:
    ratios = [turn.theirs / turn.ours for turn in turns]
    apart = [
        abs(a - b) for turn in turns for a, b in zip(turn.values, turn.their_values, strict=True)
    ]
    ours, theirs = (
        statistics.median(times) / len(METHODS)
        for times in zip(*[turn[:2] for turn in turns], strict=True)
    )
    totals = sum(turn.theirs for turn in turns) / sum(turn.ours for turn in turns)
    print(f"{len(turns)} images x {len(METHODS)} methods, medians")
    print(f"camtui            {1e3 * ours:8.0f} ms a map")
    print(f"pytorch-grad-cam  {1e3 * theirs:8.0f} ms a map")
    print(
        f"ratio             {statistics.median(ratios):8.1f} ({min(ratios):.1f} to "
        f"{max(ratios):.1f}; of the totals {totals:.1f})"
    )
    print(f"values apart      {statistics.median(apart):8.5f}, at most {max(apart):.5f}")
    write_json(
        given,
        [
            {
                "images": len(turns),
                "ours": ours,
                "theirs": theirs,
                "ratio": statistics.median(ratios),
            }
        ],
    )


def options() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=250, help="at most")
    parser.add_argument("--seconds", type=float, default=360.0, help="no image is begun after that")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
