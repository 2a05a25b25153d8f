"""Classes of captum, pytorch-grad-cam and torchcam in a real run: its rows are what the library
makes of the image when it is called directly.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evaluator.backbones import parse_backbone
from evaluator.measuring.inputs import Loader, Normaliser
from evaluator.measuring.saliency import averaged
from evaluator.methods.adapters import LIBRARIES
from evaluator.networks.backbone_loading import Backbone, load_backbone
from evaluator.records import ImageRef, Row
from evaluator.store.reader import RunReader
from tests.evaluator.execution.support import camtui

for library in LIBRARIES:
    pytest.importorskip(library)

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]  # theirs

IMAGES, SIDE = 3, 56
Explain = Callable[[nn.Module, nn.Module, str, Tensor, int], Tensor]
"""Model, its target layer, the name of that, ``x`` ``[1, 3, H, W]`` and class → ``[h, w]``."""


def saliency(model: nn.Module, _: nn.Module, __: str, image: Tensor, target: int) -> Tensor:
    from captum.attr import Saliency

    found: Tensor = Saliency(model).attribute(image.requires_grad_(), target=target)
    return found[0].sum(0).relu()


def integrated(model: nn.Module, _: nn.Module, __: str, image: Tensor, target: int) -> Tensor:
    from captum.attr import IntegratedGradients

    found: Tensor = IntegratedGradients(model).attribute(image, target=target, n_steps=4)
    return found[0].sum(0).relu()


def gradcam(model: nn.Module, layer: nn.Module, _: str, image: Tensor, target: int) -> Tensor:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model, [layer]) as cam:
        return torch.from_numpy(cam(image, [ClassifierOutputTarget(target)])[0])


def torchcam(model: nn.Module, _: nn.Module, name: str, image: Tensor, target: int) -> Tensor:
    from torchcam.methods import GradCAM

    with GradCAM(model, name) as cam:
        found: Tensor = cam(target, model(image.requires_grad_()))[0]
    return found.reshape(found.shape[-2:])


CNN: dict[str, Explain] = {
    "captum.attr:Saliency": saliency,
    "pytorch_grad_cam:GradCAM": gradcam,
    "torchcam.methods:GradCAM": torchcam,
}
VIT: dict[str, Explain] = {
    "captum.attr:Saliency": saliency,
    "captum.attr:IntegratedGradients:n_steps=4": integrated,
}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    assert camtui("synth", str(tmp_path / "shapes"), "--images", str(IMAGES)).returncode == 0
    return tmp_path / "shapes" / "images"


def ran(images: Path, backbone: str, methods: list[str]) -> Path:
    """The file of a run that has ended."""
    file = images.parents[1] / "run.db"
    what = ["--data", str(images), "-b", backbone, "--db", str(file), "--device", "cpu", "-q"]
    done = camtui("run", *what, *(word for one in methods for word in ("-m", one)), timeout=600)
    assert done.returncode in (0, 5), done.stderr
    return file


@pytest.mark.parametrize(
    ("backbone", "methods"),
    [("synthetic_cnn", CNN), ("timm/vit_tiny_patch16_224:weights=random:0", VIT)],
)
def test_a_run_has_the_maps_that_the_library_makes(
    images: Path, backbone: str, methods: dict[str, Explain]
) -> None:
    file = ran(images, backbone, [*methods])
    loaded = load_backbone(parse_backbone(backbone), 224, device=torch.device("cpu"))
    assert loaded.as_built is not None
    model = loaded.as_built().eval()
    layer = model.get_submodule(loaded.facts.layer)
    with RunReader(file) as reader:
        cells = reader.cells()
        assert [cell.note for cell in cells] == [""] * len(methods)
        for cell, explain in zip(cells, methods.values(), strict=True):
            rows = list(reader.rows.of_cell(cell.id))
            assert len(rows) == IMAGES
            for row, image, _ in rows:
                pixels = pixels_of(images, image, loaded)
                expected = explain(model, layer, loaded.facts.layer, pixels, row.target)
                confidence = model(pixels).softmax(1)[0, row.target]
                assert row.y == pytest.approx(float(confidence), abs=1e-5)
                found = map_of(row)
                assert np.abs(found - scaled(expected, found.shape[0])).max() < 2e-3


def pixels_of(folder: Path, image: ImageRef, backbone: Backbone) -> Tensor:
    """An image as the network takes it, ``[1, 3, H, W]``."""
    wanted = backbone.facts.preprocessing
    loader = Loader(folder, threads=1)
    try:
        decoded = loader.collect([image], wanted)
    finally:
        loader.close()
    return Normaliser(wanted, torch.device("cpu"))(decoded.pixels)


def map_of(row: Row) -> NDArray[np.float64]:
    values = np.frombuffer(row.map or b"", "<f2").astype(np.float64)
    side = int(len(values) ** 0.5)
    return values.reshape(side, side)


def scaled(values: Tensor, side: int) -> NDArray[np.float64]:
    """As it is stored: averaged by area to a side, from 0 to 1."""
    assert side == min(SIDE, *values.shape)
    found: Any = averaged(values.detach()[None].double(), side)[0].numpy()
    low, high = found.min(), found.max()
    return np.asarray((found - low) / (high - low))
