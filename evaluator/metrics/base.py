"""A metric as data: name, direction, range, paper, cost. The formulas are in the files beside it.

Torch is imported for type checking only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    from torch import Tensor


class Saliency(Protocol):
    """B saliency maps ``U``, as a metric sees them; a single map stands for all images."""

    values: Tensor
    """``[B, h, w]`` in [0, 1], at the resolution of the target layer; of a fixed map that of the
    image.
    """

    def pixels(self) -> Tensor:
        """``U``, ``[B, H, W]``."""

    def ranks(self) -> Tensor:
        """Rank of every pixel in descending saliency, ``[B, H, W]``, 0 for the most salient.

        Ties by pixel index, row by row. The order is the same on every device and in every batch.
        """

    def mean(self) -> Tensor:
        """Average over the pixels, ``[B]``, float64."""

    def scatter(self, other: Self) -> Tensor:
        """Compute ``Σ (U − mean U)(U′ − mean U′)`` over the pixels, ``[B]``, float64.

        Both maps have one resolution.
        """


@dataclass(frozen=True)
class Metric:
    """One number per (backbone, method, image), stored as a fraction and shown ×100.

    What an optional metric needs beside the stored row is said here, so that its cost is known
    before anything is computed.

    Attributes:
        key: the name everywhere: database, exports, options.
        title: for people; ``short``: for narrow columns.
        paper: where it was proposed.
        better: ``higher`` or ``lower``.
        definition: the formula in one line.
        low, high: the least and the greatest value, in any unit; infinite where there is none.
        curve: whether it is the area under a curve and costs forwards of its own: its file has
            ``frame`` and ``ends``.
        truth: whether it compares the map with the object's true region (``--truth``).
        forwards: network forwards for each map, on images with imputed pixels (``Probe.without``).
        altered: forwards for each map on images that it alters itself (``Probe.confidence``);
            ``sweeps``: rounds of ``curve_steps − 1`` of them.
        again: maps of the same method on altered images (``Probe.explained``); the clean pass of
            each is shared by all methods and metrics.
        contrast: whether it compares the map with that of the least likely class
            (``Probe.least_likely``).
        random_weights: whether it compares the map with that of the network with random weights
            (``Probe.random_weights``).
        of: other metrics that it is computed from; they are requested along with it.
    """

    key: str
    title: str
    short: str
    paper: str
    better: Literal["higher", "lower"]
    definition: str
    curve: bool = False
    low: float = 0.0
    high: float = 1.0
    truth: bool = False
    forwards: int = 0
    contrast: bool = False
    of: tuple[str, ...] = ()
    altered: int = 0
    sweeps: int = 0
    again: int = 0
    random_weights: bool = False

    @property
    def arrow(self) -> str:
        """``↑`` where higher is better, ``↓`` where lower is."""
        return "↑" if self.better == "higher" else "↓"

    @property
    def sign(self) -> int:
        """+1 where higher is better, −1 where lower is: ``sign * value`` is to be maximised."""
        return 1 if self.better == "higher" else -1

    def is_better(self, value: float, other: float) -> bool:
        """Whether the first value is better than the second."""
        return self.sign * value > self.sign * other

    def is_ascending(self, *, worst_first: bool) -> bool:
        """Whether values rise in a list from the worst (or the best) on."""
        return (self.better == "higher") == worst_first

    @property
    def curve_pixels(self) -> str:
        """Fate of the most salient pixels along the curve: ``removed`` or ``shown``.

        A curve that is better when it is low removes the most salient pixels.
        """
        return "removed" if self.better == "lower" else "shown"

    @property
    def pixels(self) -> bool:
        """Whether the images must be decoded: it shows them to the network again."""
        explains = self.contrast or self.random_weights or self.again > 0
        return self.curve or explains or self.asks_of_maps

    @property
    def asks_of_maps(self) -> bool:
        """Whether the network is asked for each map, so that equal maps are asked about once."""
        return self.forwards + self.altered + self.sweeps > 0

    def forwards_of_map(self, curve_steps: int) -> int:
        """Forwards for each distinct map, without those of making other maps."""
        return self.forwards + self.altered + (self.curve + self.sweeps) * (curve_steps - 1)


class Versions(Protocol):
    """Makes altered images."""

    def __call__(self, place: int, first: int, last: int) -> Tensor:
        """Make versions ``first`` to ``last`` of the image of map ``place``.

        ``[last − first, channels, H, W]``, normalised.
        """


class Alteration(Protocol):
    """Alters images."""

    def __call__(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return as many altered ones, ``[N, channels, H, W]``, normalised.

        The noise is shaped like the images, and uniform in [−1, 1) of pixels in [0, 1], brought to
        the scale of normalised images.
        """


class Probe(Protocol):
    """The network that made B maps, to be asked again about their images."""

    @property
    def images(self) -> Tensor:
        """``x``, ``[B, channels, H, W]``, normalised."""

    def without(self, missing: Tensor) -> Tensor:
        """Measure the confidence without some pixels, ``[B, M, H, W]`` bool → ``[B, M]`` float64.

        M·B forwards.

        Missing pixels are imputed by noisy linear imputation (``evaluator.measuring.imputation``).
        """

    def confidence(self, versions: Versions, count: int) -> Tensor:
        """Measure the confidence in ``count`` versions of each image, ``[B, count]`` float64.

        count·B forwards.
        """

    def baseline_confidence(self) -> Tensor:
        """Return the confidence in the empty image, ``[B]`` float64; one forward for a network."""

    def explained(self, alter: Alteration, name: str, step: int) -> Saliency:
        """Make the maps of the same method for the same classes on altered images.

        1 forward for all methods, and those of the method.

        Args:
            name, step: of the alteration: its noise is a function of these and of the image, and
                metrics that name the same one share its maps.
        """

    def least_likely(self) -> Saliency:
        """Make the maps of the same method for the class with the smallest logit on each image."""

    def random_weights(self) -> Saliency:
        """Make the maps of the same method for the same classes with random weights.

        By the same network with the same weights of chance for all images
        (``networks.building.redraw``).
        """


@dataclass(frozen=True)
class Explained:
    """B images explained by one method: the input of ``measure(explained) -> [B]``.

    Attributes:
        clean: ``y_c``, ``[B]``, float64, probability of the target on the image; ``masked``:
            ``o_c``, on the explanation map.
        saliency: ``U``, the maps.
        values: ``[B]``, float64, of each metric that the requested one names in ``Metric.of``.
        truth: ``S``, ``[B, H, W]`` bool, the object's pixels, none of them empty; where
            ``Metric.truth``.
        probe: the network, where ``Metric.pixels``.
        settings: the plan, which has the choices of the protocol (``evaluator.plan.PROTOCOL``) as
            attributes.
    """

    clean: Tensor
    masked: Tensor
    saliency: Saliency
    values: Mapping[str, Tensor] = field(default_factory=dict)
    truth: Tensor | None = None
    probe: Probe | None = None
    settings: Any = None
