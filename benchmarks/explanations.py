"""What image methods cost: beside captum, beside bare forwards, and what CAM rows cost before.

python benchmarks/explanations.py [--images N] [--rounds N] [--against CHECKOUT]

EfficientNet-Lite0 with its weights, photographs of scikit-image, one thread, seconds of the
processor: others on the machine change little. Every two that are compared take turns.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from evaluator.backbones import BackboneSpec
from evaluator.catalog import method
from evaluator.measuring.pipeline import Batch, Pipeline
from evaluator.measuring.views import BatchView
from evaluator.methods.base import ImageMethod
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.network import Network

SIZES = (16, 32)
"""Batch sizes that are tried; gradients go in quarters of them, in captum too."""

CAMS = ("gradcam", "gradcampp", "layercam", "smoothgradcampp", "fakecam")


def network_of(size: int) -> Network:
    backbone = load_backbone(BackboneSpec("efficientnet_lite0"))
    return Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=size)


def photographs(count: int) -> Tensor:
    """Crops of a photograph, normalised as the network has it."""
    from skimage import data

    pixels = torch.from_numpy(data.chelsea().copy())  # type: ignore[no-untyped-call]  # scikit-image's is
    pixels = pixels.permute(2, 0, 1).float() / 127.5 - 1
    return torch.stack([pixels[:, at : at + 224, 8 * at : 8 * at + 224] for at in range(count)])


def view_of(network: Network, images: Tensor) -> BatchView:
    observed = network.observe(len(images), lambda start, stop: images[start:stop])
    keys = [b"%d" % place for place in range(len(images))]
    return BatchView(network, lambda: images, observed, observed.logits.argmax(1), keys)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turns(rounds: int, works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds of each, all once before."""
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return {name: median(each) for name, each in taken.items()}


def beside_captum(images: Tensor, rounds: int) -> None:
    import captum.attr

    networks = {size: network_of(size) for size in SIZES}
    built = networks[SIZES[0]].backbone.as_built
    assert built is not None
    model, noise = built(), captum.attr.NoiseTunnel
    views = {size: view_of(network, images) for size, network in networks.items()}
    targets = views[SIZES[0]].targets.tolist()
    gradients, saliency = captum.attr.IntegratedGradients(model), captum.attr.Saliency(model)
    spread = 0.15 * float(images.amax() - images.amin())

    def integrated(size: int) -> Tensor:
        found: Tensor = gradients.attribute(
            images, target=targets, n_steps=50, internal_batch_size=size // 4
        )
        return found

    def smooth(size: int) -> Tensor:
        at_once = max(1, size // 4 // len(images))
        found: Tensor = noise(saliency).attribute(
            images,
            target=targets,
            nt_type="smoothgrad",
            nt_samples=50,
            nt_samples_batch_size=at_once,
            stdevs=spread,
        )
        return found

    for key, theirs in (("ig", integrated), ("smoothgrad", smooth)):
        asked = method(key)
        assert isinstance(asked, ImageMethod)
        works: dict[str, Callable[[], object]] = {}
        for size in SIZES:
            works[f"camtui {size}"] = partial(asked.explain, views[size].image)
            works[f"captum {size}"] = partial(theirs, size)
        taken = in_turns(rounds, works)
        ours, other = (
            min(value for name, value in taken.items() if name.startswith(who))
            for who in ("camtui", "captum")
        )
        print(f"{key} n=50: {ours / len(images):.2f} s an image, captum {other / len(images):.2f}")
        print(f"  ratio {ours / other:.3f}; {_listed(taken)}")


def beside_forwards(images: Tensor, rounds: int) -> None:
    network = network_of(16)
    view = view_of(network, images)
    for spec, count in (("rise:n=256", 256), ("occlusion", 64)):
        asked, total = method(spec), count * len(images)
        assert isinstance(asked, ImageMethod)
        many = images.repeat(16, 1, 1, 1)[:16]

        def bare(total: int = total, many: Tensor = many) -> None:
            for _ in network.passes(total, lambda start, stop: many[: stop - start]):
                pass

        works: dict[str, Callable[[], object]] = {
            spec: partial(asked.explain, view.image),
            "forwards": bare,
        }
        taken = in_turns(rounds, works)
        print(f"{spec}: {taken['forwards'] / taken[spec]:.3f} of bare forwards; {_listed(taken)}")


def several_layers(images: Tensor, rounds: int) -> None:
    view = view_of(network_of(16), images).image
    last = list(view.layers())
    taken = in_turns(
        rounds,
        {
            "all": lambda: view.layers(),
            "four": lambda: view.layers(last[-4:]),
            "finest": lambda: view.layers(last[-4:-3]),
            "target": lambda: view.layers(last[-1:]),
        },
    )
    four, head = taken["four"] / taken["finest"], taken["four"] / taken["target"]
    print(f"layers: four of {len(last)} resolutions {four:.3f} × the finest of them alone,")
    print(f"  {head:.3f} × the target layer alone, whose backward ends at once")
    print(f"  {_listed(taken)}")


def rows_of_cams(images: Tensor) -> None:
    """Seconds of the rows of a few CAM methods, and a digest of all that is stored of them."""
    pipeline = Pipeline(network_of(16))
    batch = Batch(images, [b"0\0%d" % place for place in range(len(images))])
    asked = [method(key) for key in CAMS]
    found = pipeline.rows(batch, asked)
    digest = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()
    taken = min(seconds(lambda: pipeline.rows(batch, asked)) for _ in range(3))
    print(f"{taken:.4f} {digest}")


def beside_checkout(other: Path, images: int, rounds: int) -> None:
    """Rows of CAM methods here and in another checkout, in turns."""
    taken: dict[str, list[float]] = {"here": [], "there": []}
    digests: dict[str, str] = {}
    for _ in range(rounds):
        for name, root in (("here", Path(__file__).parents[1]), ("there", other)):
            done = subprocess.run(
                [sys.executable, __file__, "--rows", "--images", str(images)],
                env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
            value, digests[name] = done.stdout.split()
            taken[name].append(float(value))
    here, there = min(taken["here"]), min(taken["there"])
    same = "the same bytes" if digests["here"] == digests["there"] else "OTHER BYTES"
    print(f"rows of {len(CAMS)} CAM methods: {here / there:.3f} × there, {same}")
    print(f"  here {taken['here']}, there {taken['there']}")


def _listed(taken: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f} s" for name, value in taken.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    images = photographs(given.images)
    if given.rows:
        rows_of_cams(images)
        return
    if given.against:
        beside_checkout(given.against, given.images, given.rounds)
        return
    beside_captum(images, given.rounds)
    beside_forwards(images, given.rounds)
    several_layers(images, given.rounds)


if __name__ == "__main__":
    main()
