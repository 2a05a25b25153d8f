"""Smooth Grad-CAM++: Grad-CAM++ with gradients averaged over noisy copies of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, guarded_ratio, sum_of_positions, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SmoothGradCAMpp(Method):
    """Smooth Grad-CAM++ (Omeiza et al., IntelliSys 2019, arXiv:1908.01224).

    ``G2 = mean_m g_m²``, ``G3 = mean_m g_m³``, ``a = G2 / (2 G2 + Σ_ij A G3)``, then by variant

    - ``last-pass`` (default): ``α = Σ_ij a relu(g_n)``, ``L = Σ_k α_k A_n``: gradient and
      activation of the last noisy pass. This is what torchcam 0.2 runs and what Table 2 shows (with
      the clean A it would equal Grad-CAM++ on GAP networks).
    - ``paper``: ``α = Σ_ij a relu(mean_m g_m)``, ``L = Σ_k α_k A`` with the clean activation.
    - ``mean-maps``: ``L`` is the mean over m of ``Σ_k α_k^m A_m`` with ``α^m = Σ_ij a relu(g_m)``.

    - ``g_m``, ``A_m``: ``[K, h, w]``, gradient of the logit and activation of pass m over ``x +
      σ·ε_m``; ``A``: the clean one
    - ``Σ_ij A G3`` multiplies position by position, as torchcam does; Grad-CAM++ has ``(Σ_ab A)
      g³``. Where g is the same at every position, as on GAP heads, the two are one
    - ``n``: noisy passes; ``sigma``: standard deviation of the noise in normalised space

    The noise of an image depends on the run's seed, its path and the pass only: never on batch
    size, sharding or resume. On a GAP + linear head g does not depend on the image, so passes whose
    activation is not used are not run.
    """

    variant: str = "last-pass"
    n: int = 4
    sigma: float = 0.3

    key = "smoothgradcampp"
    title = "Smooth Grad-CAM++"
    paper = "Omeiza et al., IntelliSys 2019"
    weighs_by = "Grad-CAM++ over noisy copies"
    choices = {"variant": ("last-pass", "paper", "mean-maps")}

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        passes = self._passes(view)
        second = _mean([p.gradient**2 for p in passes])
        third = _mean([p.gradient**3 for p in passes])
        position = guarded_ratio(
            second, 2 * second + (view.activation * third).sum((2, 3), keepdim=True)
        )
        if self.variant == "paper":
            gradient = _mean([p.gradient for p in passes])
            return _weighted(position, gradient, view.activation)
        used = passes[-1:] if self.variant == "last-pass" else passes
        return _mean([_weighted(position, p.gradient, p.activation) for p in used])

    def _passes(self, view: View) -> list[View]:
        """The noisy passes that the variant needs; on GAP heads every gradient is the clean one."""
        passes = self.noisy_passes(view.gap_linear)
        return (
            [view.perturbed(name, step, self.sigma) for name, step in passes] if passes else [view]
        )

    def noisy_passes(self, gap_linear: bool) -> Sequence[tuple[str, int]]:
        """All n; on GAP heads none for ``paper``, the last one for ``last-pass``."""
        steps = range(self.n)
        if gap_linear and self.variant == "paper":
            steps = range(0)
        if gap_linear and self.variant == "last-pass":
            steps = range(self.n - 1, self.n)
        return [("smoothgradcampp", step) for step in steps]

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Noisy passes over the image and over the masked image, and the masked pass."""
        if gap_linear and self.variant != "mean-maps":
            return 1 if self.variant == "paper" else 3
        return 2 * self.n + 1

    def map_identity(self, gap_linear: bool) -> str:
        """On GAP heads the ``paper`` variant is Grad-CAM++."""
        return "gradcampp" if gap_linear and self.variant == "paper" else self.name


def _weighted(position: Tensor, gradient: Tensor, activation: Tensor) -> Tensor:
    return weighted_sum(sum_of_positions(position * gradient.relu(), activation), activation)


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total / len(tensors)
