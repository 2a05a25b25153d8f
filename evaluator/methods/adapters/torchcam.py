"""Classes of torchcam: CAMs of the target layer, at its resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchcam.methods.core import _CAM

from evaluator.methods.adapters import NoMethod, PeerMethod, peer

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.methods.base import ImageView, WholeNetwork

_OURS = frozenset(
    ["model", "target_layer", "input_shape", "reshape_transform", "enable_hooks", "fc_layer"],
) | {"class_idx", "scores", "targets"}


class TorchcamMethod(PeerMethod):
    """A class of torchcam, asked for one image after the other."""

    def explain(self, view: ImageView) -> Tensor:
        """Its maps, ``[B, h, w]``."""
        return view.each(self._explained)

    def _explained(self, whole: WholeNetwork, image: Tensor, target: Tensor) -> Tensor:
        extractor = self.made(
            whole.model,
            whole.name,
            input_shape=tuple(image.shape[1:]),
            reshape_transform=whole.as_map,
            **self.given(self.constructed),
        )
        with extractor:
            found = extractor([int(target)], whole.model(image), **self.given(self.called))
        if len(found) != 1:
            raise NoMethod(f"{len(found)} maps of one layer", "name one layer")
        low: Tensor = found[0]
        return low.reshape(1, *low.shape[-2:])


def _price(method: PeerMethod, channels: int) -> int:
    samples = int(method.options.get("num_samples", 1))
    if method.made.__name__ in ("ScoreCAM", "SSCAM", "ISCAM"):
        return 4 + samples * channels
    return 3 + 3 * samples if method.made.__name__ == "SmoothGradCAMpp" else 3


def adapt(made: type) -> type[PeerMethod]:
    """The method of a class of torchcam.

    Raises:
        NoMethod: it makes no map.
    """
    if not issubclass(made, _CAM) or made.__name__.startswith("_"):
        raise NoMethod(
            f"torchcam's {made.__name__} makes no map", "for example torchcam.methods:LayerCAM"
        )
    return peer("torchcam", made, TorchcamMethod, call=made.__call__, ours=_OURS, price=_price)
