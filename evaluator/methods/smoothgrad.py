"""SmoothGrad: gradients averaged over noisy copies of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import ImageMethod, ImageView, versions

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SmoothGrad(ImageMethod):
    """SmoothGrad (Smilkov et al., 2017, arXiv:1706.03825) and its two squares.

    ``M = Σ_C mean_i |g_i|``, ``g_i = ∂s_c/∂x (x + σ ε_i)``, by ``form``

    - ``absolute`` (default): as above; the paper averages ``g`` and draws the absolute value, its
      authors' later code and most comparisons average absolute values
    - ``square``: ``mean_i g_i²`` (Hooker et al., NeurIPS 2019)
    - ``variance``: ``mean_i g_i² − (mean_i g_i)²``, VarGrad (Adebayo et al., NeurIPS 2018)

    - ``x``: ``[C, H, W]``, the normalised image; ``ε_i``: standard normal, a function of the seed,
      the image and i alone
    - ``σ = sigma · (max x − min x)`` of the image, as in the authors' code

    >>> from evaluator.measuring.trial import trial_view
    >>> SmoothGrad(n=2, form="square").combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    n: int = 50
    sigma: float = 0.15
    form: str = "absolute"

    key = "smoothgrad"
    title = "SmoothGrad"
    paper = "Smilkov et al., 2017"
    weighs_by = "size of the gradient, over noisy copies"
    choices = {"form": ("absolute", "square", "variance")}
    beyond_paper = True
    sign = "absolute"

    def explain(self, view: ImageView) -> Tensor:
        """``[B, C, H, W]``."""
        rows, images = versions(view, self.n), view.images
        spread = images.amax((1, 2, 3)) - images.amin((1, 2, 3))
        noise = stepwise_noise(view, self.key)

        def noisy(start: int, stop: int) -> Tensor:
            which = rows[start:stop]
            strength = self.sigma * spread[which, None, None, None]
            return images[which] + strength * noise(start, stop)

        powers = {"absolute": (1,), "square": (2,), "variance": (1, 2)}[self.form]
        sums = view.gradient(
            noisy,
            len(rows),
            rows,
            weights=images.new_ones(len(rows)) / self.n,
            each=lambda gradients, _start, _stop: _powers(gradients, powers, self.form),
        )
        if self.form != "variance":
            return sums[:, 0]
        return (sums[:, 1] - sums[:, 0] ** 2).relu()

    def cost(self) -> int:
        """A forward and a backward for each noisy copy."""
        return 3 * self.n

    def noisy_passes(self, gap_linear: bool) -> Sequence[tuple[str, int]]:
        """All n."""
        return [(self.key, step) for step in range(self.n)]


def _powers(gradients: Tensor, powers: Sequence[int], form: str) -> Tensor:
    """``[n, P, C, H, W]``: powers of the gradients, or of their absolute values."""
    base = gradients.abs() if form == "absolute" else gradients
    found = base.new_empty(len(base), len(powers), *base.shape[1:])
    for place, power in enumerate(powers):
        found[:, place] = base**power
    return found


def stepwise_noise(view: ImageView, name: str) -> Callable[[int, int], Tensor]:
    """Noise of versions ``start`` to ``stop`` (``base.versions``): all images by one step of it."""
    images = len(view.images)

    def noise(start: int, stop: int) -> Tensor:
        found = view.images.new_empty(stop - start, *view.images.shape[1:])
        for step in range(start // images, -(-stop // images)):
            first, last = max(start, step * images), min(stop, (step + 1) * images)
            drawn = view.noise(name, step)
            found[first - start : last - start] = drawn[
                first - step * images : last - step * images
            ]
        return found

    return noise
