"""Every class of captum, pytorch-grad-cam and torchcam that explains an image.

Whether it runs here as it is, and how far its maps are from those of the method that camtui has of
that name: largest difference at a pixel and least correlation, of maps scaled to [0, 1], on
scikit-image's photographs. Packages: ``pip install "camtui[peers,demo]"``.

    python benchmarks/peer_classes.py > benchmarks/peer_classes.md
"""

from __future__ import annotations

import argparse
import inspect
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple

from evaluator import catalog
from evaluator.errors import CamtuiError
from evaluator.measuring.against import Photographs, admitted
from evaluator.measuring.method_calls import MethodFault
from evaluator.methods.adapters import LIBRARIES
from evaluator.references import as_reference
from evaluator.user_code import sources_of

MODULES = {
    "captum": "captum.attr",
    "pytorch_grad_cam": "pytorch_grad_cam",
    "torchcam": "torchcam.methods",
}

OURS = {
    "captum:DeepLift": "",
    "captum:GradientShap": "gradientshap",
    "captum:InputXGradient": "inputxgradient",
    "captum:IntegratedGradients": "ig",
    "captum:LayerGradCam": "gradcam",
    "captum:LayerGradientXActivation": "hirescam",
    "captum:Occlusion": "occlusion",
    "captum:Saliency": "saliency",
    "pytorch_grad_cam:AblationCAM": "ablationcam",
    "pytorch_grad_cam:EigenCAM": "eigencam",
    "pytorch_grad_cam:EigenGradCAM": "eigengradcam",
    "pytorch_grad_cam:FEM": "fem",
    "pytorch_grad_cam:FinerCAM": "finercam",
    "pytorch_grad_cam:FullGrad": "fullgrad",
    "pytorch_grad_cam:GradCAM": "gradcam",
    "pytorch_grad_cam:GradCAMPlusPlus": "gradcampp",
    "pytorch_grad_cam:HiResCAM": "hirescam",
    "pytorch_grad_cam:KPCA_CAM": "kpcacam",
    "pytorch_grad_cam:LayerCAM": "layercam",
    "pytorch_grad_cam:RandomCAM": "randomcam",
    "pytorch_grad_cam:RefineCAM": "refinecam",
    "pytorch_grad_cam:ScoreCAM": "scorecam:variant=softmax-logit",
    "pytorch_grad_cam:ShapleyCAM": "shapleycam",
    "pytorch_grad_cam:XGradCAM": "xgradcam",
    "torchcam:CAM": "cam",
    "torchcam:FinerCAM": "finercam",
    "torchcam:GradCAM": "gradcam",
    "torchcam:GradCAMpp": "gradcampp",
    "torchcam:ISCAM": "iscam",
    "torchcam:LayerCAM": "layercam",
    "torchcam:LeGrad": "legrad",
    "torchcam:RefineCAM": "refinecam",
    "torchcam:SSCAM": "sscam",
    "torchcam:ScoreCAM": "scorecam:variant=softmax-logit",
    "torchcam:SmoothGradCAMpp": "smoothgradcampp",
    "torchcam:XGradCAM": "xgradcam",
}
"""Class → the method that camtui has of it."""

WHY = {
    "captum:GradientShap": "5 draws from black; ours 50 from random images",
    "captum:Occlusion": "50 pixels at any size, ours 14 of 64; at 224 pixels they agree",
    "torchcam:GradCAMpp": "divides a copy, so that its weights stay undivided",
    "torchcam:ISCAM": "adds the scaled inputs up from step to step; a softmax over channels",
    "pytorch_grad_cam:EigenCAM": "subtracts each channel's mean, keeps the sign its SVD gives",
    "pytorch_grad_cam:EigenGradCAM": "subtracts each channel's mean, keeps the sign its SVD gives",
    "pytorch_grad_cam:FEM": "weighs the activation by the share of unusual positions",
    "pytorch_grad_cam:FinerCAM": "weighs the classes by probabilities, differentiates these too",
    "pytorch_grad_cam:RandomCAM": "other random numbers",
    "torchcam:SmoothGradCAMpp": "other random numbers; whether that is all was not looked into",
}
"""Why a class deviates, as read in its code."""

AGREES, SAME = 0.002, 0.999
"""Largest difference of maps that agree, since our image methods round to float16; of maps that
come at the size of the image, where resizing and scaling differ, the least correlation.
"""


SECONDS = 15
"""What a class may take; captum's perturbations take a forward for each value of an image."""


class _TooLongError(BaseException):
    """A class has taken longer; no ``except Exception`` of a library stops it."""


def _stop(_number: int, _frame: object) -> None:
    raise _TooLongError


class Line(NamedTuple):
    """One class: what it is called, whether it runs, and what of ours it was compared with."""

    key: str
    ours: str
    result: str
    why: str = ""


def classes() -> Iterator[tuple[str, str]]:
    """Library and name of every class that its module offers."""
    for library, module in MODULES.items():
        found = import_module(module)
        names = getattr(found, "__all__", dir(found))
        yield from ((library, one) for one in sorted(names) if inspect.isclass(getattr(found, one)))


def line_of(library: str, name: str, photographs: Photographs) -> Line | None:
    """Try one class; ``None`` for what explains no image."""
    key = f"{library}:{name}"
    reference = as_reference(f"{MODULES[library]}:{name}")
    ours = OURS.get(key, "")
    known = ours if catalog.key_of(ours) in catalog.known_methods() else ""
    try:
        spec = admitted(reference.text, sources_of(reference).sha256)
    except CamtuiError as error:
        if "explains no image" in error.message or "makes no map" in error.message:
            return None
        return Line(key, known, "cannot run", error.message)
    try:
        signal.alarm(SECONDS)
        theirs = photographs.maps(catalog.method(spec))
    except _TooLongError:
        return Line(key, known, "runs", f"not to its end here: {SECONDS} s were too short")
    except (MethodFault, CamtuiError) as error:
        return Line(key, known, "cannot run", str(error))
    finally:
        signal.alarm(0)
    if not known:
        return Line(key, "", "runs", WHY.get(key, ""))
    try:
        found = photographs.apart(theirs, photographs.maps(catalog.method(known)))
    except (MethodFault, CamtuiError) as error:
        return Line(key, known, "runs", f"ours does not apply: {error}")
    largest = max(one.largest for one in found)
    correlation = min(one.correlation for one in found)
    agrees = largest <= AGREES or (library == "pytorch_grad_cam" and correlation >= SAME)
    result = f"{'agrees' if agrees else 'deviates'}: {largest:.1e}, {correlation:.3f}"
    return Line(key, known, result, "" if agrees else WHY.get(key, "not looked into"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="synthetic_cnn")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--library", choices=["", *MODULES], default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop)
    photographs = Photographs(options.backbone, options.images)
    lines = []
    for library, name in classes():
        if options.library not in ("", library):
            continue
        begun = time.perf_counter()
        if line := line_of(library, name, photographs):
            lines.append(line)
            print(*line, f"{time.perf_counter() - begun:.1f} s", sep="  ", file=sys.stderr)
    versions = ", ".join(f"{LIBRARIES[one]} {version(LIBRARIES[one])}" for one in MODULES)
    print(_PAGE.format(versions=versions, network=options.backbone, images=options.images))
    for line in lines:
        why = line.why.replace("|", "/").replace("\n", " ")[:160]
        print(f"| `{line.key}` | {f'`{line.ours}`' if line.ours else ''} | {line.result} | {why} |")


_PAGE = """# Every class of captum, pytorch-grad-cam and torchcam

Made by `python benchmarks/peer_classes.py > benchmarks/peer_classes.md`, with {versions}, on
`{network}` and {images} photographs. What it says, in short: [docs/peers.md](../docs/peers.md).

Numbers are the largest difference at a pixel and the least correlation of
maps scaled to [0, 1]. pytorch-grad-cam's maps come at the size of the image and agree where the
correlation is at least 0.999. Classes that explain a neuron, text or a data set are left out.

| class | ours | result | why |
|---|---|---|---|"""


if __name__ == "__main__":
    main()
