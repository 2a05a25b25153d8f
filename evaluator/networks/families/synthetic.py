"""The small networks of the synthetic images, whose weights this package ships."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from evaluator.backbones import Family, KnownBackbone
from evaluator.records import Preprocessing

if TYPE_CHECKING:
    from evaluator.backbones import BackboneSpec
    from evaluator.networks.building import Built

_SIDE = 64
_USUAL = Preprocessing(_SIDE, _SIDE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def _known(key: str, title: str, *, gap_linear: bool) -> KnownBackbone:
    return KnownBackbone(
        key=key,
        title=title,
        family="synthetic",
        layer="features",
        gap_linear=gap_linear,
        attention=False,
        channels=48,
        weights_file=f"{key}.safetensors",
        preprocessing=_USUAL,
        listed=True,
    )


_KNOWN = {
    known.key: known
    for known in (
        _known("synthetic_cnn", "Synthetic CNN", gap_linear=False),
        _known("synthetic_gap", "Synthetic CNN with a GAP head", gap_linear=True),
        _known("synthetic_cnn_marks", "Synthetic CNN of the world marks", gap_linear=False),
        _known("synthetic_gap_marks", "Synthetic GAP CNN of the world marks", gap_linear=True),
    )
}


class Synthetic(Family):
    """Classifiers of the images of ``camtui synth`` (``evaluator.synthetic``).

    >>> from evaluator.backbones import parse_backbone
    >>> built = Synthetic().build(parse_backbone("synthetic_cnn"))
    >>> type(built.model).__name__, built.classes[0]
    ('SyntheticCNN', 'cross')
    """

    key = "synthetic"
    title = "small networks of camtui's synthetic images"
    spelled = "NAME"
    tried = True
    rank = 2

    def known(self, key: str) -> KnownBackbone | None:
        """One of the four."""
        return _KNOWN.get(key)

    def names(self) -> tuple[KnownBackbone, ...]:
        """A network of either head for each world."""
        return tuple(_KNOWN.values())

    def local_weights(self, key: str) -> Path | None:
        """In this package."""
        file = Path(str(resources.files("evaluator") / "data" / _KNOWN[key].weights_file))
        return file if file.is_file() else None

    def build(self, spec: BackboneSpec) -> Built:
        """The eight classes are those of the images, whatever the weights."""
        from evaluator.backbones import DEFAULT_WEIGHTS
        from evaluator.networks.building import Built, filled, is_random, seeded
        from evaluator.networks.weights import read_weights_file
        from evaluator.synthetic.scene import CLASSES
        from evaluator.synthetic.train import NETWORKS

        network = NETWORKS[spec.key]
        if is_random(spec.weights):
            return Built(
                seeded(spec.weights, lambda: network(len(CLASSES))), spec.weights, CLASSES, _USUAL
            )
        file = self.local_weights(spec.key) if spec.weights == DEFAULT_WEIGHTS else spec.weights
        model = network(len(CLASSES))
        state, name = read_weights_file(str(file), model.state_dict())
        return Built(filled(model, state, spec.key, name), name, CLASSES, _USUAL)
