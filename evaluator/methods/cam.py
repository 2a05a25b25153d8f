"""CAM: the weights of the classification layer itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class CAM(Method):
    """Class Activation Mapping (Zhou et al., CVPR 2016, arXiv:1512.04150).

    ``L = Σ_k W[c, k] A_k``

    - ``W``: ``[C, K]``, the one linear layer after global average pooling; ``c``: the target class
    - ``A_k``: ``[h, w]``, channel k of the last convolutional layer

    Defined only where the head is global average pooling and one linear layer (ResNet, ResNeXt,
    EfficientNet; not VGG). torchcam takes the last linear layer it finds, whatever stands before
    it; we refuse instead.

    >>> from evaluator.measuring.trial import trial_view
    >>> CAM().combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    >>> CAM().needs
    'a GAP + linear head'
    """

    key = "cam"
    title = "CAM"
    paper = "Zhou et al., CVPR 2016"
    weighs_by = "weights of the classification layer"
    needs_gap_linear = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return weighted_sum(view.class_weights, view.activation)

    def map_identity(self, gap_linear: bool) -> str:
        """Grad-CAM: on GAP heads the gradient is ``W[c, k]/(hw)``, the same map after min-max."""
        return "gradcam"
