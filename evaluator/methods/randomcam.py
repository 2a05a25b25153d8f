"""Random-CAM: channels weighted by chance, a control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class RandomCAM(Method):
    """Random-CAM (pytorch-grad-cam): channels under random weights.

    ``α_k ~ U(−1, 1)`` and ``L = Σ_k α_k A_k``

    - ``A_k``: ``[h, w]``, channel k of the target layer; ``α``: drawn for each image and each pass
      over it

    A control: a method that weighs channels must beat it. The weights of an image depend on the
    run's seed and the image's path only, never on batch size, sharding or resume; its explanation
    map has weights of its own. pytorch-grad-cam 1.5.7 draws from the same distribution, unseeded.

    >>> from evaluator.measuring.trial import trial_view
    >>> first, second = (RandomCAM().combine(trial_view(images=2)) for _ in range(2))
    >>> first.equal(second)
    True
    """

    key = "randomcam"
    title = "Random-CAM"
    paper = "pytorch-grad-cam"
    weighs_by = "nothing: random numbers"
    beyond_paper = True
    control = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return weighted_sum(view.uniform("randomcam", view.activation.shape[1]), view.activation)
