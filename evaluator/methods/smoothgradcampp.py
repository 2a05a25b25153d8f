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

    ``G1 = mean_m g_m``, ``G2 = mean_m g_m²``, ``G3 = mean_m g_m³``. The paper prints one formula,
    and torchcam runs another, with "a personal correction": its ``a`` is ``G2 / (2 G2 + Σ_ij A
    G3)``. By variant

    - ``last-pass`` (default), torchcam's: ``α = Σ_ij a relu(g_n)``, ``L = Σ_k α_k A_n``: gradient
      and activation of the last noisy pass. This is what torchcam 0.2 runs and what Table 2 shows
      (with the clean A it would equal Grad-CAM++ on GAP networks).
    - ``paper``, as printed: ``α = Σ_ij p relu(G1)``, ``p = G1 / (2 G2 + (Σ_ab A_ab) G3)``, ``L =
      Σ_k α_k A`` with the clean activation. Its numerator is the first derivative, where Grad-CAM++
      has the second: on GAP networks its weights are those of Grad-CAM++ over ``g``, another map.
    - ``mean-gradient``, ours: ``α = Σ_ij a relu(G1)``, ``L = Σ_k α_k A`` with the clean activation;
      Grad-CAM++ on GAP networks. Earlier versions of camtui called it ``paper``.
    - ``mean-maps``, ours: ``L`` is the mean over m of ``Σ_k α_k^m A_m`` with ``α^m = Σ_ij a
      relu(g_m)``.

    - ``g_m``, ``A_m``: ``[K, h, w]``, gradient of the logit and activation of pass m over ``x +
      σ·ε_m``; ``A``: the clean one
    - the n-th partial derivatives are the powers ``g^n``: those of ``exp(s_c)`` without its factor
      and without the logit's curvature, as in Grad-CAM++ and torchcam
    - ``Σ_ij A G3`` multiplies position by position, as torchcam does; Grad-CAM++ and the printed
      formula have ``(Σ_ab A) G3``. Where g is the same at every position, as on GAP heads, the two
      are one
    - ``n``: noisy passes; ``sigma``: standard deviation of the noise in normalised space

    The noise of an image depends on the run's seed, its path and the pass only: never on batch
    size, sharding or resume. On a GAP + linear head g does not depend on the image, so passes whose
    activation is not used are not run.

    >>> from evaluator.measuring.trial import trial_view
    >>> SmoothGradCAMpp(n=2, sigma=0.1).combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    variant: str = "last-pass"
    n: int = 4
    sigma: float = 0.3

    key = "smoothgradcampp"
    title = "Smooth Grad-CAM++"
    paper = "Omeiza et al., IntelliSys 2019"
    weighs_by = "Grad-CAM++ over noisy copies"
    choices = {"variant": ("last-pass", "paper", "mean-gradient", "mean-maps")}

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        passes = self._passes(view)
        second = _mean([p.gradient**2 for p in passes])
        third = _mean([p.gradient**3 for p in passes])
        if self.variant == "paper":
            first = _mean([p.gradient for p in passes])
            total = view.activation.sum((2, 3), keepdim=True)
            return _weighted(
                guarded_ratio(first, 2 * second + total * third), first, view.activation
            )
        position = guarded_ratio(
            second, 2 * second + (view.activation * third).sum((2, 3), keepdim=True)
        )
        if self.variant == "mean-gradient":
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
        """All n; on GAP heads none where A is the clean one, the last one for ``last-pass``."""
        steps = range(self.n)
        if gap_linear and self.variant in _CLEAN_ACTIVATION:
            steps = range(0)
        if gap_linear and self.variant == "last-pass":
            steps = range(self.n - 1, self.n)
        return [("smoothgradcampp", step) for step in steps]

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Noisy passes over the image and over the masked image, and the masked pass."""
        if gap_linear and self.variant != "mean-maps":
            return 1 if self.variant in _CLEAN_ACTIVATION else 3
        return 2 * self.n + 1

    def map_identity(self, gap_linear: bool) -> str:
        """On GAP heads ``mean-gradient`` is Grad-CAM++, and noise does not change ``paper``."""
        if gap_linear and self.variant == "mean-gradient":
            return "gradcampp"
        return f"{self.key}:variant=paper" if gap_linear and self.variant == "paper" else self.name


_CLEAN_ACTIVATION = ("paper", "mean-gradient")
"""Variants that take nothing but the gradient from the noisy passes."""


def _weighted(position: Tensor, gradient: Tensor, activation: Tensor) -> Tensor:
    return weighted_sum(sum_of_positions(position * gradient.relu(), activation), activation)


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total / len(tensors)
