"""Wrong class: the map of another class than the one that is measured, a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods import all_methods
from evaluator.methods.base import Method, View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WrongClass(Method):
    """Another method's map for the wrong class, measured as if it explained the right one.

    ``L`` of the method ``of`` (its options at their defaults) for class ``c′ = (c + ⌊C/2⌋) mod C``

    - ``c``: the target, on which confidences, curves and every other metric are measured; ``C``:
      the number of classes

    A control: a metric that does not rate this map below the method's own is blind to what is
    explained (Adebayo et al., NeurIPS 2018, ask that of methods; ``camtui judge`` asks it of
    metrics). c′ is a function of c alone, so that the explanation map is explained for the same
    wrong class, and half of the classes away, since neighbours in ImageNet's order are alike. A
    network of one class has no other: there the map is the method's own.

    >>> from evaluator.measuring.trial import trial_view
    >>> WrongClass(of="layercam").combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    of: str = "gradcam"

    key = "wrongclass"
    title = "Wrong class"
    paper = "no paper: another class of the same method"
    weighs_by = "another method, for another class"
    choices = {
        "of": (
            "gradcam",
            "gradcampp",
            "xgradcam",
            "hirescam",
            "layercam",
            "ablationcam",
            "scorecam",
            "reciprocam",
            "finercam",
        )
    }
    beyond_paper = True
    control = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        classes = view.logits.shape[1]
        return self._method.combine(view.towards((view.targets + classes // 2) % classes))

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Those of the method."""
        return self._method.forwards(channels, gap_linear)

    def map_identity(self, gap_linear: bool) -> str:
        """Methods with equal maps have equal maps for another class too."""
        return f"{self.key} {self._method.map_identity(gap_linear)}"

    @property
    def _method(self) -> Method:
        return all_methods()[self.of]()
