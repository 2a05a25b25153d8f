"""How far the maps of two methods are apart, on the demo's photographs: ``camtui check --against``.

``python -m evaluator.measuring.against`` answers one request (``evaluator.child``).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evaluator import catalog, user_code, user_code_checks
from evaluator.backbones import BackboneSpec, families, local_weights
from evaluator.catalog import key_of
from evaluator.child import Answers, serve
from evaluator.errors import CamtuiError, NotApplicable
from evaluator.images import demo_root, planned_images
from evaluator.measuring.inputs import Loader, Normaliser
from evaluator.measuring.method_calls import MethodFault
from evaluator.measuring.pipeline import Pipeline
from evaluator.measuring.unit_results import noise_keys
from evaluator.measuring.views import BatchView
from evaluator.methods import all_methods
from evaluator.methods.base import Method
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.network import Network
from evaluator.plan import applicable, validated_plan
from evaluator.records import ImageRef
from evaluator.references import as_reference
from evaluator.text import printable

PHOTOGRAPHS = 3


class Apart(NamedTuple):
    """Two maps of one image, at the input's resolution, both scaled to [0, 1].

    Attributes:
        largest: difference at a pixel; ``correlation``: over the pixels, 0 where one is constant.
    """

    image: str
    largest: float
    correlation: float


def demo_networks() -> list[str]:
    """The demo's networks whose weights are here."""
    known = families()["efficientnet_lite"].names()
    return [one.key for one in known if local_weights(one.key) is not None]


class Photographs:
    """The demo's first photographs before one network.

    Raises:
        UsageError: the demo is not installed.
    """

    def __init__(self, backbone: str, count: int = PHOTOGRAPHS) -> None:
        cpu = torch.device("cpu")
        values = {"data": str(demo_root()), "demo": True, "backbones": [backbone], "limit": count}
        plan = validated_plan({**values, "methods": ["gradcam"]})
        manifest = planned_images(plan)
        self.network = Network(
            load_backbone(BackboneSpec(backbone), plan.resize, device=cpu),
            device=cpu,
            precision="fp32",
        )
        wanted = self.network.backbone.facts.preprocessing
        loader = Loader(manifest.root, threads=1)
        decoded = loader.collect(manifest.images, wanted)
        loader.close()
        self.images: tuple[ImageRef, ...] = decoded.images
        self._pixels = Normaliser(wanted, cpu)(decoded.pixels)
        self._keys = noise_keys(plan, decoded.images)
        self._pipeline = Pipeline(self.network, map_side=wanted.side)

    def maps(self, method: Method) -> Tensor:
        """``U`` of the predicted classes, ``[n, H, W]``, as fine as the method makes it.

        Raises:
            MethodFault: it goes wrong. NotApplicable: the network lacks what it needs.
        """
        facts = self.network.backbone.facts
        if not applicable(method, facts.gap_linear, facts.attention > 0):
            raise NotApplicable(f"{method.name} needs {method.needs}", "camtui methods")
        seen = self.network.observe(len(self._pixels), lambda start, stop: self._pixels[start:stop])
        targets = seen.logits.argmax(1)
        view = BatchView(self.network, self._pixels.clone, seen, targets, self._keys)
        found = self._pipeline.saliency(method, view)[0].pixels().detach().double()
        return found.expand(len(self._pixels), -1, -1)

    def apart(self, first: Tensor, second: Tensor) -> list[Apart]:
        """Compare maps image by image."""
        found = []
        for image, one, other in zip(self.images, first, second, strict=True):
            both = torch.stack([one.flatten(), other.flatten()])
            correlation = float(torch.corrcoef(both)[0, 1].nan_to_num())
            largest = float((one - other).abs().max())
            found.append(Apart(printable(image.path), largest, correlation))
        return found


def has_reference(spec: str) -> bool:
    """Whether a method has ``slow``, the paper's formula as loops, in its class.

    Of camtui's own it stands in the tests, which hold every method against it.
    """
    key = key_of(spec)
    kind = catalog.known_methods()[key]
    return key in all_methods() or inspect.isfunction(getattr(kind, "slow", None))


def admitted(reference: str, sha256: str, tail: str = "") -> str:
    """Import a method that may run; its spec."""
    given = as_reference(reference)
    user_code.allow({given.text: sha256})
    key = user_code_checks.import_method(given).key
    return f"{key}:{tail}" if tail else key


def answer(asked: dict[str, Any]) -> Answers:
    """Compare two methods.

    ``{"first": REQUEST, "second": REQUEST, "networks": […]}``, the demo's where none is named; a
    request is ``{"spec"}`` or ``{"reference", "sha256", "tail"}``.

    Yields:
        The specs and which has a reference; ``{"network", "images": [Apart …]}`` of each network.
    """
    specs = [_spec(asked[name]) for name in ("first", "second")]
    yield {"specs": specs, "references": [has_reference(spec) for spec in specs]}
    for backbone in asked.get("networks") or demo_networks():
        try:
            yield {"network": backbone, "images": compared(Photographs(backbone), specs)}
        except (MethodFault, CamtuiError) as error:
            yield {"network": backbone, "problem": str(error)}


def compared(photographs: Photographs, specs: Sequence[str]) -> list[Apart]:
    """How far two methods are apart on some photographs."""
    first, second = (photographs.maps(catalog.method(spec)) for spec in specs)
    return photographs.apart(first, second)


def _spec(request: dict[str, Any]) -> str:
    if "spec" in request:
        return str(request["spec"])
    return admitted(request["reference"], request["sha256"], request.get("tail", ""))


if __name__ == "__main__":
    serve(answer)
