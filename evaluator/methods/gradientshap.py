"""GradientSHAP: expected gradients over random baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import SIGNS, ImageMethod, ImageView, versions
from evaluator.methods.smoothgrad import stepwise_noise

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradientSHAP(ImageMethod):
    """GradientSHAP (Lundberg and Lee, NeurIPS 2017), expected gradients (Erion et al., 2021).

    ``M = relu(Σ_C mean_i (x − x′_i) ⊙ ∂s_c/∂x (x′_i + t_i (x − x′_i)))``

    - ``x``: ``[C, H, W]``, the normalised image; ``t_i``: uniform in [0, 1)
    - ``x′_i = sigma · ε_i``, standard normal noise in normalised space: both papers draw images of
      the training data, which a run does not have; with ``sigma=1`` the noise has their mean and
      deviation
    - ``sign=absolute``: ``Σ_C`` of the absolute values

    Both draws are a function of the seed, the image and i alone. captum adds noise to x too, 0 by
    default.

    >>> from evaluator.measuring.trial import trial_view
    >>> GradientSHAP(n=2).combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    n: int = 50
    sigma: float = 1.0
    sign: str = "positive"

    key = "gradientshap"
    title = "GradientSHAP"
    paper = "Lundberg and Lee, NeurIPS 2017"
    weighs_by = "gradients on the way from random images"
    choices = {"sign": SIGNS}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, C, H, W]``."""
        rows, noise = versions(view, self.n), stepwise_noise(view, self.key)
        at = ((view.uniform(self.key, self.n) + 1) / 2).T.flatten()

        def way(start: int, stop: int) -> Tensor:
            return view.images[rows[start:stop]] - self.sigma * noise(start, stop)

        def between(start: int, stop: int) -> Tensor:
            left = 1 - at[start:stop, None, None, None]
            return view.images[rows[start:stop]] - left * way(start, stop)

        return view.gradient(
            between,
            len(rows),
            rows,
            weights=view.images.new_ones(len(rows)) / self.n,
            each=lambda gradients, start, stop: way(start, stop) * gradients,
        )

    def cost(self) -> int:
        """A forward and a backward for each baseline."""
        return 3 * self.n

    def noisy_passes(self, gap_linear: bool) -> Sequence[tuple[str, int]]:
        """All n."""
        return [(self.key, step) for step in range(self.n)]
